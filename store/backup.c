/* One consistent copy, taken by LMDB itself (TRAPS L20): written beside, synced, renamed, the folder synced. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base.h"

static int of_errno(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG ? FM_EDISKFULL : number == ENOMEM ? FM_ENOMEM : FM_EIO;
}

static int copy_to(struct fm_store *s, const char *temp)
{
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return of_errno(errno);
    int rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
    int error = FM_OK;
    if (rc < 0) /* LMDB's own: the store's trouble, not the file's */
        error = fm_txn_error(s, rc);
    else if (rc > 0)
        error = of_errno(rc);
    if (error == FM_OK && fsync(fd) != 0)
        error = of_errno(errno);
    if (close(fd) != 0 && error == FM_OK)
        error = of_errno(errno);
    return error;
}

int fm_store_backup(struct fm_store *s, const char *file)
{
    size_t len = strlen(file) + sizeof(".part");
    char *temp = malloc(len);
    if (temp == NULL)
        return FM_ENOMEM;
    if (s->dead != FM_OK) {
        free(temp);
        return s->dead;
    }
    snprintf(temp, len, "%s.part", file);
    int error = copy_to(s, temp);
    if (error == FM_OK && rename(temp, file) != 0)
        error = of_errno(errno);
    if (error != FM_OK)
        unlink(temp);
    else
        error = fm_env_sync_parent(file);
    free(temp);
    return error;
}
