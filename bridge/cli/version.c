#include <stdio.h>
#include <string.h>

#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"
#include "config/config.h"

/* SB_LIBRARIES comes from the build, so that this layer needs nothing of the libraries that others use. */
int sb_cli_version(int argc, char **argv) {
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    puts("usage: sidebus version\nShows the version, the brokers that this build knows and the libraries it "
         "was built "
         "with.");
    return SB_EXIT_OK;
  }
  if (argc > 1) {
    sb_cli_complain(argv[0], "\"%s\" is too much; see sidebus version --help", argv[1]);
    return SB_EXIT_UNREACHABLE;
  }
  printf("sidebus %s\nbrokers:", SB_VERSION);
  for (const char *const *name = sb_config_brokers(); *name; name++) printf(" %s", *name);
  printf("\nlibraries: %s\n", SB_LIBRARIES);
  return SB_EXIT_OK;
}
