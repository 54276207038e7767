/* Every error a function of fieldmesh can return: 0 or one of these, all negative.
 * A bug asserts; the environment (disk, memory, socket) returns an error; input becomes a result with a reason. */
#ifndef FM_REPLICATION_ERROR_H
#define FM_REPLICATION_ERROR_H

#define FM_ERRORS(X)                                                                      \
    X(FM_ENOMEM, -1, "memory", "not enough memory")                                       \
    X(FM_EFORMAT, -2, "format", "these bytes are not in the form that is expected")       \
    X(FM_ELIMIT, -3, "limit", "a limit is passed")                                        \
    X(FM_ENOTFOUND, -4, "not-found", "nothing of this name is held here")                 \
    X(FM_ESIGNATURE, -5, "change-signature", "the signature does not fit")                \
    X(FM_EFOREIGN, -6, "foreign-mesh", "this belongs to another mesh")                    \
    X(FM_EGRANT, -7, "no-grant", "written under a grant that is not held here")           \
    X(FM_EORDER, -8, "does-not-follow", "the set before this one is not held")            \
    X(FM_EKEY, -9, "key", "the key does not open this")                                   \
    X(FM_ESTORE, -10, "store", "the store could not be read or written")                  \
    X(FM_EFULL, -11, "store-full", "the store is full")                                   \
    X(FM_EDISKFULL, -12, "disk-full", "no space is left on the disk")                     \
    X(FM_ECORRUPT, -13, "damaged", "stored data is damaged")                              \
    X(FM_EBUSY, -14, "store-busy", "another process has the store open")                  \
    X(FM_ENEWER, -15, "store-newer", "written by a newer version of this program")        \
    X(FM_EIO, -16, "io", "reading or writing failed")                                     \
    X(FM_ENOTJOINED, -17, "not-joined", "this node has no grant yet")                     \
    X(FM_EROLE, -18, "coordinator-only", "only a coordinator node may do this")           \
    X(FM_EEXISTS, -19, "exists", "this is there already")                                 \
    X(FM_EINVAL, -20, "usage", "the call makes no sense")                                 \
    X(FM_EREVOKED, -21, "peer-revoked", "this node was revoked")                          \
    X(FM_EPROTOCOL, -22, "peer-version", "the peer speaks another protocol")

enum fm_error {
    FM_OK = 0,
#define X(name, number, code, text) name = number,
    FM_ERRORS(X)
#undef X
};

/* The stable code ("store-full") and the sentence of an error; "unknown" for a number that is none. Never NULL. */
const char *fm_error_code(int error);
const char *fm_error_text(int error);

#endif
