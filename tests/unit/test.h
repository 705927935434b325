/* cmocka wants these in front of it. */
#ifndef TBMESH_TESTS_UNIT_TEST_H
#define TBMESH_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
