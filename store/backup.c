/* One consistent copy, taken by LMDB itself (TRAPS L20): written beside, synced, renamed, the folder synced. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base.h"

static int copy_to(struct fm_store *s, const char *temp)
{
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fm_env_errno(errno);
    int rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
    int error = FM_OK;
    if (rc < 0) /* LMDB's own: the store's trouble, not the file's */
        error = fm_txn_error(s, rc);
    else if (rc > 0)
        error = fm_env_errno(rc);
    if (error == FM_OK && fsync(fd) != 0)
        error = fm_env_errno(errno);
    int closed = close(fd);
    if (error == FM_OK && closed != 0)
        error = fm_env_errno(errno);
    return error;
}

int fm_store_backup(struct fm_store *s, const char *file)
{
    if (s->dead != FM_OK)
        return s->dead;
    size_t len = strlen(file) + sizeof(".part");
    char *temp = malloc(len);
    if (temp == NULL)
        return FM_ENOMEM;
    snprintf(temp, len, "%s.part", file);
    int error = copy_to(s, temp);
    if (error == FM_OK && rename(temp, file) != 0)
        error = fm_env_errno(errno);
    if (error != FM_OK)
        unlink(temp);
    else
        error = fm_env_sync_parent(file);
    free(temp);
    return error;
}
