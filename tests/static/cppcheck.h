/* jansson's loops, for cppcheck, which cannot see into its header. */
#define json_array_foreach(a, i, v) for (i = 0; (v = json_array_get(a, i)) != NULL; i++)
#define json_object_foreach(o, k, v) for (k = json_next(o, &v); k != NULL; k = json_next(o, &v))
