/* Where a node's things lie. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "node/config.h"
#include "node/json.h"
#include "replication/error.h"

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* out of FM_PATH_MAX bytes: a with b behind it. */
static int join(char *out, const char *a, const char *b)
{
    int n = snprintf(out, FM_PATH_MAX, "%s%s", a, b);
    return n >= 0 && n < FM_PATH_MAX ? FM_OK : FM_ELIMIT;
}

static const char *set_env(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static int default_dir(char *out)
{
    const char *dir = set_env("FIELDMESH_DATA");
    if (dir != NULL)
        return join(out, dir, "");
    dir = set_env("XDG_STATE_HOME");
    if (dir != NULL && dir[0] == '/') /* the XDG rules: a relative one is ignored */
        return join(out, dir, "/fieldmesh");
    dir = set_env("HOME");
    if (dir == NULL) {
        const struct passwd *user = getpwuid(getuid());
        dir = user != NULL && user->pw_dir != NULL ? user->pw_dir : "/var/lib";
    }
    return join(out, dir, "/.local/state/fieldmesh");
}

/* One folder has one name, by whatever way it is called: the socket's name hangs on it. What does not exist yet (before
 * init) is taken as it is written, behind the real path of what does. */
static int real_dir(char *out, const char *dir)
{
    char path[FM_PATH_MAX], real[PATH_MAX], cwd[FM_PATH_MAX];
    if (dir[0] == '/') {
        if (join(path, dir, "") != FM_OK)
            return FM_ELIMIT;
    } else if (getcwd(cwd, sizeof cwd) == NULL || snprintf(path, sizeof path, "%s/%s", cwd, dir) >= (int)sizeof path) {
        return FM_ELIMIT;
    }
    size_t len = strlen(path), cut;
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    for (cut = len;;) {
        char kept = path[cut];
        path[cut] = '\0';
        const char *found = realpath(cut == 0 ? "/" : path, real);
        path[cut] = kept;
        if (found != NULL || cut == 0)
            break;
        while (cut > 0 && path[--cut] != '/')
            ;
    }
    if (cut == 0 || strcmp(real, "/") == 0)
        real[0] = '\0';
    if (snprintf(out, FM_PATH_MAX, "%s%s", real, path + cut) >= FM_PATH_MAX)
        return FM_ELIMIT;
    if (out[0] == '\0')
        return join(out, "/", "");
    return FM_OK;
}

static bool own_folder(const char *dir)
{
    struct stat st;
    return dir != NULL && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* A socket's path has room for 107 bytes. A longer one gets a short name, the same for everybody who means this folder. */
static int socket_path(struct fm_paths *out)
{
    int rc = join(out->socket, out->data, "/control.sock");
    if (rc != FM_OK || strlen(out->socket) <= SOCKET_PATH_MAX)
        return rc;
    uint8_t hash[16];
    char name[2 * sizeof hash + 1];
    fm_crypto_hash(hash, sizeof hash, out->data, strlen(out->data));
    fm_hex_text(name, hash, sizeof hash);
    const char *dir = getenv("XDG_RUNTIME_DIR");
    if (!own_folder(dir) || strlen(dir) + strlen("/fieldmesh-.sock") + strlen(name) > SOCKET_PATH_MAX)
        dir = "/tmp";
    int n = snprintf(out->socket, sizeof out->socket, "%s/fieldmesh-%s.sock", dir, name);
    return n > 0 && (size_t)n <= SOCKET_PATH_MAX ? FM_OK : FM_ELIMIT;
}

int fm_paths_of(struct fm_paths *out, const char *data)
{
    char given[FM_PATH_MAX];
    *out = (struct fm_paths){0};
    int rc = data != NULL && *data != '\0' ? join(given, data, "") : default_dir(given);
    if (rc == FM_OK)
        rc = real_dir(out->data, given);
    if (rc == FM_OK)
        rc = join(out->config, out->data, "/fieldmesh.conf");
    if (rc == FM_OK)
        rc = join(out->keys, out->data, "/keys");
    if (rc == FM_OK)
        rc = join(out->store, out->data, "/store");
    if (rc == FM_OK)
        rc = join(out->run, out->data, "/run.json");
    return rc == FM_OK ? socket_path(out) : rc;
}
