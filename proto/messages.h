/* The generated protobuf-c code. For .c files only: public headers name its structs by forward declarations (CONVENTIONS 2). */
#ifndef TBMESH_PROTO_MESSAGES_H
#define TBMESH_PROTO_MESSAGES_H

#include "proto/common.pb-c.h"
#include "proto/control.pb-c.h"
#include "proto/peer.pb-c.h"

#endif
