/* rabbitmq-c's headers: in a folder of their own since 0.12, at the top before. */
#ifndef SB_TRANSPORTS_RABBITMQ_AMQP_H
#define SB_TRANSPORTS_RABBITMQ_AMQP_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#endif
