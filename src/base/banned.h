/* Calls that hide a length, a locale or an overflow are compile errors. Included by the build in front of every file of
 * ours (-include), after the system headers that declare them. */
#ifndef CLO_BASE_BANNED_H
#define CLO_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __cplusplus
#undef alloca /* a macro of glibc, which poison refuses */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atof gets alloca
#endif

#endif
