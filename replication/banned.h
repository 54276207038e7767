/* Included by the compiler's command line before everything else: these names do not compile in fieldmesh. */
#ifndef FM_BANNED_H
#define FM_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat sprintf vsprintf gets atoi atol atoll strtok strncpy strncat tmpnam mktemp localtime gmtime ctime asctime
#endif
