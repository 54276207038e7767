/* Whole small files, so that after a crash there is the old one or the new one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/identity.h"
#include "replication/error.h"

int fm_file_error(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT: return FM_EDISKFULL;
    case ENOENT:
    case ENOTDIR: return FM_ENOTFOUND;
    case EEXIST: return FM_EEXISTS;
    case ENAMETOOLONG: return FM_ELIMIT;
    case ENOMEM: return FM_ENOMEM;
    default: return FM_EIO;
    }
}

static int write_all(int fd, struct fm_span bytes)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = write(fd, bytes.data + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? fm_file_error(errno) : FM_EIO;
        done += (size_t)n;
    }
    return FM_OK;
}

/* Without it a rename may be forgotten by a power cut. File systems that cannot sync a folder say EINVAL. */
static int sync_folder_of(const char *file)
{
    char dir[FM_PATH_MAX];
    const char *slash = strrchr(file, '/');
    size_t len = slash == NULL ? 1 : slash == file ? 1 : (size_t)(slash - file);
    if (len >= sizeof dir)
        return FM_ELIMIT;
    memcpy(dir, slash == NULL ? "." : file, len);
    dir[len] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fm_file_error(errno);
    int rc = fsync(fd) == 0 || errno == EINVAL ? FM_OK : fm_file_error(errno);
    (void)close(fd);
    return rc;
}

/* Puts temp in file's place. Where a file must not be replaced, a hard link is what fails if there is one. */
static int put_in_place(const char *temp, const char *file, bool replace)
{
    if (replace)
        return rename(temp, file) == 0 ? FM_OK : fm_file_error(errno);
    if (link(temp, file) == 0) {
        (void)unlink(temp);
        return FM_OK;
    }
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS)
        return fm_file_error(errno);
    if (access(file, F_OK) == 0) /* FAT knows no links */
        return FM_EEXISTS;
    return rename(temp, file) == 0 ? FM_OK : fm_file_error(errno);
}

static int write_file(const char *file, struct fm_span bytes, unsigned mode, bool replace)
{
    char temp[FM_PATH_MAX + 16];
    if (snprintf(temp, sizeof temp, "%s.tmp-XXXXXX", file) >= FM_PATH_MAX)
        return FM_ELIMIT;
    int fd = mkostemp(temp, O_CLOEXEC); /* a fresh file of 0600: nobody else's link is followed */
    if (fd < 0)
        return fm_file_error(errno);
    int rc = write_all(fd, bytes);
    /* Where modes cannot be set (FAT), it stays as the mount has it. */
    if (rc == FM_OK && fchmod(fd, (mode_t)mode) != 0 && errno != EPERM && errno != ENOTSUP)
        rc = fm_file_error(errno);
    if (rc == FM_OK && fsync(fd) != 0)
        rc = fm_file_error(errno);
    if (close(fd) != 0 && rc == FM_OK)
        rc = fm_file_error(errno);
    if (rc == FM_OK)
        rc = put_in_place(temp, file, replace);
    if (rc != FM_OK) {
        (void)unlink(temp);
        return rc;
    }
    return sync_folder_of(file);
}

int fm_file_write(const char *file, struct fm_span bytes, unsigned mode)
{
    return write_file(file, bytes, mode, true);
}

int fm_file_create(const char *file, struct fm_span bytes, unsigned mode)
{
    return write_file(file, bytes, mode, false);
}

int fm_file_move(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_folder_of(to) : fm_file_error(errno);
}

int fm_file_read(const char *file, struct fm_buf *out, size_t max)
{
    size_t before = out->len;
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe nobody writes to must not hang us */
    if (fd < 0)
        return fm_file_error(errno);
    int rc = FM_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = FM_EIO;
    while (rc == FM_OK) {
        uint8_t part[16384];
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        if (n < 0)
            rc = fm_file_error(errno);
        else if (out->len - before + (size_t)n > max) /* not by st_size: it may grow while we read */
            rc = FM_ELIMIT;
        else
            rc = fm_buf_add(out, part, (size_t)n);
        fm_crypto_wipe(part, sizeof part); /* it may have been a seed */
    }
    (void)close(fd);
    if (rc != FM_OK)
        out->len = before;
    return rc;
}

int fm_file_folder(const char *dir, unsigned mode)
{
    char path[FM_PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path)
        return FM_ELIMIT;
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, (mode_t)mode) == 0) {
            int rc = sync_folder_of(path);
            if (rc != FM_OK)
                return rc;
        } else if (errno != EEXIST && !(i < len && (errno == EROFS || errno == EACCES || errno == EPERM))) {
            return fm_file_error(errno); /* a parent that is there may refuse in other words */
        }
        if (i < len)
            path[i] = '/';
    }
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? FM_OK : FM_EIO;
}

/* NAME.tmp-XXXXXX, as write_file makes it */
static bool is_temp(const char *entry, const char *name)
{
    const char *at = strstr(entry, ".tmp-");
    if (at == NULL || strlen(at) != sizeof ".tmp-XXXXXX" - 1)
        return false;
    return name == NULL || (strncmp(entry, name, strlen(name)) == 0 && entry + strlen(name) == at);
}

void fm_file_sweep(const char *dir, const char *name)
{
    DIR *folder = opendir(dir);
    for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;)
        if (is_temp(e->d_name, name))
            (void)unlinkat(dirfd(folder), e->d_name, 0);
    if (folder != NULL)
        closedir(folder);
}
