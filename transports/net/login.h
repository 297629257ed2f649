/* What shows a broker who we are, and may change while the bridge runs. */
#ifndef SB_TRANSPORTS_NET_LOGIN_H
#define SB_TRANSPORTS_NET_LOGIN_H

/* Name and secret: a user and his password, or a shared access key. The secret alone: a token that nobody
 * renews. The file alone: a token that something else renews there. Texts are its own. */
struct sb_login {
  char *name;
  char *secret;
  char *token_file;
};

/* Where a transport gets it, anew for every attempt to log in. */
struct sb_login_source {
  void *owner;
  /* What holds now, for sb_login_close. Any thread; it may read a file and block as long as that takes. When
   * the file cannot be read it gives what it gave last. NULL: what the settings say holds for ever. */
  void (*read)(void *owner, struct sb_login *out);
};

/* Wipes and frees the texts. */
void sb_login_close(struct sb_login *login);

#endif
