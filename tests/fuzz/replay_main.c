/* Runs a fuzz harness over the files of a corpus, without libFuzzer: replay_<harness> FOLDER-OR-FILE... So
 * what a fuzzer once found stays an ordinary test, with any compiler. Fails when there is no file at all. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bridge/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Into an allocation of exactly its size, so that a sanitizer sees a read beyond it. */
static int replay_file(const char *path, size_t size) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return -1;
  }
  uint8_t *data = sb_malloc(size);
  size_t got = fread(data, 1, size, file);
  fclose(file);
  if (got == size) {
    printf("%s\n", path);
    fflush(stdout); /* the harness may abort: the last line names the culprit */
    LLVMFuzzerTestOneInput(data, size);
  } else {
    fprintf(stderr, "%s: cannot be read whole\n", path);
  }
  free(data);
  return got == size ? 1 : -1;
}

static int replay(const char *path);

/* Returns the number of files, or -1. */
static int replay_folder(const char *path) {
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort), files = 0;
  if (count < 0) {
    perror(path);
    return -1;
  }
  for (int i = 0; i < count; i++) {
    if (entries[i]->d_name[0] != '.' && files >= 0) {
      struct sb_buf inner = {0};
      sb_buf_printf(&inner, "%s/%s", path, entries[i]->d_name);
      int got = replay((const char *)inner.data);
      files = got < 0 ? -1 : files + got;
      sb_buf_close(&inner);
    }
    free(entries[i]);
  }
  free(entries);
  return files;
}

static int replay(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) {
    perror(path);
    return -1;
  }
  return S_ISDIR(info.st_mode) ? replay_folder(path) : replay_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv) {
  int files = 0;
  for (int i = 1; i < argc; i++) {
    int got = replay(argv[i]);
    if (got < 0) return 1;
    files += got;
  }
  printf("%d inputs replayed\n", files);
  return files > 0 ? 0 : 1;
}
