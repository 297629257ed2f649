/* The socket under a connection of rabbitmq-c, plain or with TLS, and who is really at the other end when no
 * RabbitMQ answers there. On the link's own thread. */
#ifndef SB_TRANSPORTS_RABBITMQ_SOCKET_H
#define SB_TRANSPORTS_RABBITMQ_SOCKET_H

#include "bridge/base/error.h"
#include "transports/rabbitmq/link.h"

/* Gives link->conn a connected socket to the present host. */
int sb_rabbitmq_socket_open(struct sb_rabbitmq_link *link, struct sb_error *error);

/* A login failed below AMQP: unless one has succeeded there before, asks what else is at that port, and puts
 * it into `error` in place of the symptom. Takes a second or two at most. */
void sb_rabbitmq_socket_doubt(struct sb_rabbitmq_link *link, struct sb_error *error);

/* A login succeeded there. */
void sb_rabbitmq_socket_trust(struct sb_rabbitmq_link *link);

#endif
