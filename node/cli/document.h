/* JSON documents and tables of what the node answers. Pure: message in, text out. Every document carries its schema;
 * fields are added, never changed (golden tests hold them). */
#ifndef TBMESH_NODE_CLI_DOCUMENT_H
#define TBMESH_NODE_CLI_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct Tbmesh__BestReply;
struct Tbmesh__DoctorReply;
struct Tbmesh__Event;
struct Tbmesh__EventList;
struct Tbmesh__EventsAt;
struct Tbmesh__Gpu;
struct Tbmesh__GpuList;
struct Tbmesh__LinkList;
struct Tbmesh__NodeStatus;
struct Tbmesh__PeerList;
struct Tbmesh__PingReply;
struct Tbmesh__ThunderboltList;
struct Tbmesh__Topology;
struct Tbmesh__WorkloadList;

json_t *document_create(const char *schema); /* { "schema": … } */
json_t *document_status(const struct Tbmesh__NodeStatus *s);
json_t *document_peers(const struct Tbmesh__PeerList *l);
json_t *document_topology(const struct Tbmesh__Topology *t);
json_t *document_links(const struct Tbmesh__LinkList *l);
json_t *document_gpus(const struct Tbmesh__GpuList *l, const char *host);
json_t *document_gpu(const struct Tbmesh__Gpu *g, const char *host, bool local);
json_t *document_thunderbolt(const struct Tbmesh__ThunderboltList *l);
json_t *document_best(const struct Tbmesh__BestReply *r);
json_t *document_event(const struct Tbmesh__Event *e);
json_t *document_events(const struct Tbmesh__EventList *l);
void document_events_add(json_t *document, const struct Tbmesh__EventList *l); /* what came behind it */
json_t *document_events_gap(const struct Tbmesh__EventsAt *at);                /* what is missing, or why nothing comes */
json_t *document_doctor(const struct Tbmesh__DoctorReply *d);
json_t *document_workloads(const struct Tbmesh__WorkloadList *l);

void show_status(const struct Tbmesh__NodeStatus *s, FILE *out);
void show_peers(const struct Tbmesh__PeerList *l, FILE *out, bool color);
void show_links(const struct Tbmesh__LinkList *l, FILE *out, bool color);
void show_topology(const struct Tbmesh__Topology *t, FILE *out);
void show_topology_dot(const struct Tbmesh__Topology *t, FILE *out);
void show_gpus(const struct Tbmesh__GpuList *l, const char *host, FILE *out, bool color);
void show_gpu(const struct Tbmesh__Gpu *g, const char *host, FILE *out);
void show_thunderbolt(const struct Tbmesh__ThunderboltList *l, FILE *out);
void show_best(const struct Tbmesh__BestReply *r, bool explain, FILE *out, bool color);
void show_event(const struct Tbmesh__Event *e, bool host, FILE *out); /* host: in front, whose it is */
void show_doctor(const struct Tbmesh__DoctorReply *d, FILE *out, bool color);
void show_workloads(const struct Tbmesh__WorkloadList *l, FILE *out, bool color);

#endif
