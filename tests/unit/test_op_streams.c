/* Commands on streams, with the replies that redis-server 7.0.15 gave to them where it got the same ids. */
#include "tests/unit/op_fixture.h"

#define WRONG_TYPE  "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define SYNTAX      "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"
#define BAD_ID      "-ERR Invalid stream ID specified as stream command argument\r\n"
#define EXPLICIT_ID "-ERR explicit ids are not supported: ids are places in the log, use *\r\n"

static const struct op_said adding[] = {
    {"XADD s * f v", "$9\r\n1000-4096\r\n"},
    {"XADD s * f v g w", "$9\r\n1000-8192\r\n"},
    {"XADD s * f v * *", "$10\r\n1000-12288\r\n"},
    {"XADD s * '' ''", "$10\r\n1000-16384\r\n"},
    {"XLEN s", ":4\r\n"},
    {"XADD none NOMKSTREAM * f v", "$-1\r\n"},
    {"XADD s NOMKSTREAM * f v", "$10\r\n1000-28672\r\n"},
    {"XADD s nomkstream MAXLEN 3 * f v", "$10\r\n1000-32768\r\n"},
    {"XLEN s", ":3\r\n"},
    {"XADD s MAXLEN = 2 * f v", "$10\r\n1000-40960\r\n"},
    {"XRANGE s - +", "*2\r\n*2\r\n$10\r\n1000-32768\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*2\r\n$10\r\n1000-"
                     "40960\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
    {"XADD s MINID 1000-40961 * f v", "$10\r\n1000-49152\r\n"},
    {"XADD s MINID = 1000 * f v", "$10\r\n1000-53248\r\n"},
    {"XADD s MAXLEN 0 * f v", "$10\r\n1000-57344\r\n"},
    {"XLEN s", ":0\r\n"},
    {"TYPE s", "+stream\r\n"},
    {"EXISTS s", ":1\r\n"},
    {"XADD s * f", "-ERR wrong number of arguments for 'xadd' command\r\n"},
    {"XADD s * f v g", "-ERR wrong number of arguments for 'xadd' command\r\n"},
    {"XADD s *", "-ERR wrong number of arguments for 'xadd' command\r\n"},
    {"XADD s MAXLEN 5 NOMKSTREAM NOMKSTREAM", "-ERR wrong number of arguments for 'xadd' command\r\n"},
    {"XADD s MAXLEN 5 f v", BAD_ID},
    {"XADD s MAXLEN abc * f v", NOT_INTEGER},
    {"XADD s MAXLEN -1 * f v", "-ERR The MAXLEN argument must be >= 0.\r\n"},
    {"XADD s MAXLEN * f v", NOT_INTEGER},
    {"XADD s MAXLEN = * f v", NOT_INTEGER},
    {"XADD s MAXLEN 5 MINID 5 * f v",
     "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n"},
    {"XADD s MAXLEN 5 MAXLEN 5 * f v",
     "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n"},
    {"XADD s MINID abc * f v", BAD_ID},
    {"XADD s MINID - * f v", BAD_ID},
    {"XADD s LIMIT 5 * f v",
     "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n"},
    {"XADD s LIMIT 0 * f v", "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n"},
    {"XADD s LIMIT -1 * f v", "-ERR The LIMIT argument must be >= 0.\r\n"},
    {"XADD s LIMIT abc * f v", NOT_INTEGER},
    {"XADD s MAXLEN 5 LIMIT 5 * f v",
     "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n"},
    {"XADD s MAXLEN = 5 LIMIT 5 * f v",
     "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n"},
    {"XADD s foo * f v", BAD_ID},
    {"XADD s - f v", BAD_ID},
    {"XADD s + f v", BAD_ID},
    {"XADD s abc-* f v", BAD_ID},
    {"XADD s 5-x f v", BAD_ID},
    {"XADD s 5- f v", BAD_ID},
    {"XADD s 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
    {"XADD s 0 f v", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
    {"XADD s 5-5 f", "-ERR wrong number of arguments for 'xadd' command\r\n"},
};

static const struct op_said ranges[] = {
    {"XADD s * n 1", "$9\r\n1000-4096\r\n"},
    {"XADD s * n 2", "$9\r\n1000-8192\r\n"},
    {"XADD s * n 3", "$10\r\n1000-12288\r\n"},
    {"XRANGE s - +", "*3\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$9\r\n1000-8192\r\n*"
                     "2\r\n$1\r\nn\r\n$1\r\n2\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREVRANGE s + -",
     "*3\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$"
     "1\r\nn\r\n$1\r\n2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"},
    {"XRANGE s 1000-4096 1000-8192", "*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$"
                                     "9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XRANGE s (1000-4096 (1000-12288", "*1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XRANGE s (1000-4096 +", "*2\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n*2\r\n$10\r\n1000-"
                              "12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREVRANGE s (1000-12288 -", "*2\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n*2\r\n$"
                                  "9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"},
    {"XRANGE s 1000 1000",
     "*3\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$"
     "1\r\n2\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XRANGE s 999 999", "*0\r\n"},
    {"XRANGE s (1000 1001",
     "*3\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$"
     "1\r\n2\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XRANGE s 1000-12288 1000-4096", "*0\r\n"},
    {"XREVRANGE s 1000-4096 1000-12288", "*0\r\n"},
    {"XRANGE s (1000-4096 (1000-4096", "*0\r\n"},
    {"XRANGE s - + COUNT 2", "*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$9\r\n1000-"
                             "8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XREVRANGE s + - COUNT 2", "*2\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$"
                                "9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XRANGE s - + COUNT 0", "*-1\r\n"},
    {"XRANGE s - + COUNT -5", "*-1\r\n"},
    {"XRANGE s - + COUNT 1 COUNT 2", "*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$"
                                     "9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XRANGE s - + COUNT", SYNTAX},
    {"XRANGE s - + COUNT abc", NOT_INTEGER},
    {"XRANGE s - + foo 1", SYNTAX},
    {"XRANGE s - + COUNT 1 foo", SYNTAX},
    {"XRANGE s abc +", BAD_ID},
    {"XRANGE s - abc", BAD_ID},
    {"XRANGE s (- +", BAD_ID},
    {"XRANGE s ( +", BAD_ID},
    {"XRANGE s '' +", BAD_ID},
    {"XRANGE s - (+", BAD_ID},
    {"XRANGE s (18446744073709551615-18446744073709551615 +", "-ERR invalid start ID for the interval\r\n"},
    {"XRANGE s - (0-0", "-ERR invalid end ID for the interval\r\n"},
    {"XRANGE s - (0", "*0\r\n"},
    {"XRANGE s 18446744073709551616 +", BAD_ID},
    {"XRANGE s 1-2-3 +", BAD_ID},
    {"XRANGE s -", "-ERR wrong number of arguments for 'xrange' command\r\n"},
    {"XRANGE none - +", "*0\r\n"},
    {"XRANGE none - + COUNT 0", "*0\r\n"},
    {"XRANGE none abc +", BAD_ID},
    {"XREVRANGE none + -", "*0\r\n"},
};

static const struct op_said deleting[] = {
    {"XADD s * n 1", "$9\r\n1000-4096\r\n"},
    {"XADD s * n 2", "$9\r\n1000-8192\r\n"},
    {"XADD s * n 3", "$10\r\n1000-12288\r\n"},
    {"XADD s * n 4", "$10\r\n1000-16384\r\n"},
    {"XDEL s 1000-8192 1000-8192", ":1\r\n"},
    {"XLEN s", ":3\r\n"},
    {"XRANGE s - +", "*3\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$10\r\n1000-12288\r\n*"
                     "2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$10\r\n1000-16384\r\n*2\r\n$1\r\nn\r\n$1\r\n4\r\n"},
    {"XDEL s 999-1", ":0\r\n"},
    {"XDEL s abc 1000-4096", BAD_ID},
    {"XDEL s 1000-4096 -", BAD_ID},
    {"XLEN s", ":3\r\n"},
    {"XDEL none abc", ":0\r\n"},
    {"XDEL none 1-1", ":0\r\n"},
    {"XDEL s", "-ERR wrong number of arguments for 'xdel' command\r\n"},
    {"XTRIM s MAXLEN 1", ":2\r\n"},
    {"XRANGE s - +", "*1\r\n*2\r\n$10\r\n1000-16384\r\n*2\r\n$1\r\nn\r\n$1\r\n4\r\n"},
    {"XTRIM s MAXLEN 0", ":1\r\n"},
    {"XLEN s", ":0\r\n"},
    {"EXISTS s", ":1\r\n"},
    {"TYPE s", "+stream\r\n"},
    {"XTRIM s MAXLEN 0", ":0\r\n"},
    {"XTRIM none MAXLEN 0", ":0\r\n"},
    {"XADD s * n 5", "$10\r\n1000-94208\r\n"},
    {"XADD s * n 6", "$10\r\n1000-98304\r\n"},
    {"XTRIM s MINID 1000-98304", ":1\r\n"},
    {"XRANGE s - +", "*1\r\n*2\r\n$10\r\n1000-98304\r\n*2\r\n$1\r\nn\r\n$1\r\n6\r\n"},
    {"XTRIM s MINID = 5-5", ":0\r\n"},
    {"XTRIM s MINID abc", BAD_ID},
    {"XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0.\r\n"},
    {"XTRIM s MAXLEN abc", NOT_INTEGER},
    {"XTRIM s foo 5", SYNTAX},
    {"XTRIM s LIMIT 5", "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n"},
    {"XTRIM s LIMIT 0", "-ERR syntax error, XTRIM must be called with a trimming strategy\r\n"},
    {"XTRIM s MAXLEN 5 LIMIT 5", "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n"},
    {"XTRIM s MAXLEN 5 MINID 5",
     "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n"},
    {"XTRIM s MAXLEN ~ 5 LIMIT -1", "-ERR The LIMIT argument must be >= 0.\r\n"},
    {"XTRIM s MAXLEN ~ 5 LIMIT", SYNTAX},
    {"XTRIM s MAXLEN =", NOT_INTEGER},
    {"XTRIM s NOMKSTREAM 5", SYNTAX},
    {"DEL s", ":1\r\n"},
    {"XRANGE s - +", "*0\r\n"},
    {"XLEN s", ":0\r\n"},
    {"DEL s", ":0\r\n"},
};

static const struct op_said reading[] = {
    {"XADD a * n 1", "$9\r\n1000-4096\r\n"},
    {"XADD b * n 2", "$9\r\n1000-8192\r\n"},
    {"XADD a * n 3", "$10\r\n1000-12288\r\n"},
    {"XREAD STREAMS a 0", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$"
                          "1\r\n1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREAD STREAMS a b 0 0", "*2\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$"
                              "1\r\n1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$"
                              "1\r\nb\r\n*1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XREAD STREAMS a none b 1000-4096 0 1000-8192",
     "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREAD COUNT 1 STREAMS a b 0 0",
     "*2\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n*"
     "1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XREAD count 1 streams a b 1000-4096 0",
     "*2\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$1\r\nb\r\n*"
     "1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
    {"XREAD COUNT 0 STREAMS a 1000",
     "*1\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$10\r\n1000-"
     "12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREAD COUNT -1 STREAMS a 0-0",
     "*1\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$10\r\n1000-"
     "12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XREAD STREAMS a 1000-12288", "*-1\r\n"},
    {"XREAD STREAMS a $", "*-1\r\n"},
    {"XREAD STREAMS none 0", "*-1\r\n"},
    {"XREAD STREAMS a 18446744073709551615-18446744073709551615", "*-1\r\n"},
    {"XREAD STREAMS a a 0 1000-4096",
     "*2\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n*2\r\n$10\r\n1000-"
     "12288\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$"
     "1\r\nn\r\n$1\r\n3\r\n"},
    {"XREAD STREAMS a b 0",
     "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.\r\n"},
    {"XREAD STREAMS a", "-ERR wrong number of arguments for 'xread' command\r\n"},
    {"XREAD STREAMS a b c",
     "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.\r\n"},
    {"XREAD COUNT 1 a 0", SYNTAX},
    {"XREAD COUNT abc STREAMS a 0", NOT_INTEGER},
    {"XREAD BLOCK abc STREAMS a 0", "-ERR timeout is not an integer or out of range\r\n"},
    {"XREAD BLOCK -1 STREAMS a 0", "-ERR timeout is negative\r\n"},
    {"XREAD BLOCK 1 COUNT 1 STREAMS a 0",
     "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"},
    {"XREAD COUNT 1 BLOCK 0 STREAMS a 0",
     "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"},
    {"XREAD GROUP g c STREAMS a 0",
     "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.\r\n"},
    {"XREAD NOACK STREAMS a 0",
     "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.\r\n"},
    {"XREAD COUNT 1 COUNT", SYNTAX},
    {"XREAD STREAMS a abc", BAD_ID},
    {"XREAD STREAMS a -", BAD_ID},
    {"XREAD STREAMS a ''", BAD_ID},
    {"XREAD STREAMS a >", "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                          "<group> <consumer> option.\r\n"},
    {"XREAD foo STREAMS a 0", SYNTAX},
};

static const struct op_said info[] = {
    {"XINFO STREAM none", "-ERR no such key\r\n"},
    {"XINFO STREAM none foo", "-ERR no such key\r\n"},
    {"XADD s * n 1", "$10\r\n1000-12288\r\n"},
    {"XINFO STREAM s",
     "*20\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$"
     "17\r\nlast-generated-id\r\n$10\r\n1000-12288\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n0-0\r\n$"
     "13\r\nentries-added\r\n:1\r\n$23\r\nrecorded-first-entry-id\r\n$10\r\n1000-12288\r\n$6\r\ngroups\r\n:"
     "0\r\n$11\r\nfirst-entry\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n$10\r\nlast-"
     "entry\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"},
    {"XADD s * n 2", "$10\r\n1000-20480\r\n"},
    {"XADD s * n 3", "$10\r\n1000-24576\r\n"},
    {"XDEL s 1000-20480", ":1\r\n"},
    {"XINFO stream s",
     "*20\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$"
     "17\r\nlast-generated-id\r\n$10\r\n1000-24576\r\n$20\r\nmax-deleted-entry-id\r\n$10\r\n1000-20480\r\n$"
     "13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$10\r\n1000-12288\r\n$6\r\ngroups\r\n:"
     "0\r\n$11\r\nfirst-entry\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n$10\r\nlast-"
     "entry\r\n*2\r\n$10\r\n1000-24576\r\n*2\r\n$1\r\nn\r\n$1\r\n3\r\n"},
    {"XTRIM s MAXLEN 0", ":2\r\n"},
    {"XINFO STREAM s",
     "*20\r\n$6\r\nlength\r\n:0\r\n$15\r\nradix-tree-keys\r\n:0\r\n$16\r\nradix-tree-nodes\r\n:1\r\n$"
     "17\r\nlast-generated-id\r\n$10\r\n1000-24576\r\n$20\r\nmax-deleted-entry-id\r\n$10\r\n1000-20480\r\n$"
     "13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n0-0\r\n$6\r\ngroups\r\n:0\r\n$"
     "11\r\nfirst-entry\r\n$-1\r\n$10\r\nlast-entry\r\n$-1\r\n"},
    {"XINFO STREAM s foo",
     "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.\r\n"},
    {"XINFO stream s FULL foo",
     "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.\r\n"},
    {"XINFO STREAM s FULL foo 5",
     "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.\r\n"},
    {"XINFO STREAM s FULL COUNT abc", NOT_INTEGER},
    {"XINFO STREAM", "-ERR wrong number of arguments for 'xinfo|stream' command\r\n"},
};

static void replies_are(const struct op_said *said, size_t count) {
  struct op_node node;
  op_open(&node);
  op_expect_all(&node, said, count);
  op_close(&node);
}

#define REPLIES_ARE(said) replies_are(said, sizeof(said) / sizeof *(said))

static void entries_are_added_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(adding);
}

static void ranges_are_read_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(ranges);
}

static void entries_are_taken_away_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(deleting);
}

static void several_streams_are_read_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(reading);
}

static void facts_about_a_stream_are_told_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(info);
}

/* ---- where Redis does something else, or leaves it open ---- */

static void only_the_log_gives_ids(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XADD s 5 f v", EXPLICIT_ID},
      {"XADD s 5-5 f v", EXPLICIT_ID},
      {"XADD s 5-* f v", EXPLICIT_ID},
      {"XADD s 0-* f v", EXPLICIT_ID},
      {"XADD s NOMKSTREAM MAXLEN ~ 5 LIMIT 3 5-5 f v", EXPLICIT_ID},
      {"XADD s 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
      {"EXISTS s", ":0\r\n"},
  };
  REPLIES_ARE(said);
}

static void a_full_description_is_refused(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XADD s * f v", "$9\r\n1000-4096\r\n"},
      {"XINFO STREAM s FULL", "-ERR XINFO STREAM with FULL is not supported\r\n"},
      {"XINFO STREAM s full count 5", "-ERR XINFO STREAM with FULL is not supported\r\n"},
      {"XINFO STREAM none FULL", "-ERR no such key\r\n"},
  };
  REPLIES_ARE(said);
}

static void about_so_many_is_as_many_as_the_history_holds(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XADD s * f v", "$9\r\n1000-4096\r\n"},
      {"XADD s * f v", "$9\r\n1000-8192\r\n"},
      {"XADD s MAXLEN ~ 1 * f v", "$10\r\n1000-12288\r\n"},
      {"XADD s MAXLEN ~ 0 LIMIT 2 * f v", "$10\r\n1000-16384\r\n"},
      {"XADD s MINID ~ 1000-90000 LIMIT 1 * f v", "$10\r\n1000-20480\r\n"},
      {"XTRIM s MINID ~ 1000-90000", ":0\r\n"},
      {"XTRIM s MAXLEN ~ 0", ":0\r\n"},
      {"XLEN s", ":5\r\n"},
  };
  REPLIES_ARE(said);
}

static void the_last_entry_is_where_reading_can_begin(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XREAD STREAMS s +", "*-1\r\n"},
      {"XADD s * n 1", "$9\r\n1000-8192\r\n"},
      {"XADD s * n 2", "$10\r\n1000-12288\r\n"},
      {"XREAD STREAMS s +",
       "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$10\r\n1000-12288\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n"},
      {"XREAD STREAMS s $", "*-1\r\n"},
  };
  REPLIES_ARE(said);
}

static struct sb_stream stream_of(const struct op_node *node, const char *name) {
  struct sb_key *key = sb_keys_find(&node->keys, sb_bytes_of(name), node->now_ms);
  assert_non_null(key);
  assert_int_equal(key->kind, SB_KEY_STREAM);
  return key->stream;
}

static void assert_id(struct sb_id id, uint64_t ms, uint64_t seq) {
  assert_int_equal(id.ms, ms);
  assert_int_equal(id.seq, seq);
}

static void what_was_deleted_is_remembered_but_not_beyond_the_last_id(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  op_run(&node, "XADD s * n 1");
  op_run(&node, "XADD s * n 2");
  op_run(&node, "XDEL s 1000-4096 5000-1");
  assert_true(node.written);
  assert_id(stream_of(&node, "s").max_deleted, 1000, 4096);
  op_run(&node, "XDEL s 999-1");
  assert_false(node.written);
  op_run(&node, "XTRIM s MINID 0-0");
  assert_id(stream_of(&node, "s").max_deleted, 1000, 4096);
  op_run(&node, "XTRIM s MINID 1000-6000");
  assert_id(stream_of(&node, "s").max_deleted, 1000, 5999);
  op_run(&node, "XTRIM s MINID 5000");
  assert_id(stream_of(&node, "s").max_deleted, 1000, 8192);
  assert_id(stream_of(&node, "s").last, 1000, 8192);
  assert_int_equal(stream_of(&node, "s").added, 2);
  op_close(&node);
}

static void a_stream_that_is_replaced_takes_its_entries_along(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  op_run(&node, "XADD s * n 1");
  assert_string_equal(op_run(&node, "SET s v"), "+OK\r\n");
  assert_string_equal(op_run(&node, "GETDEL s"), "$1\r\nv\r\n");
  assert_string_equal(op_run(&node, "EXISTS s"), ":0\r\n");
  op_run(&node, "XADD s * n 2");
  assert_string_equal(op_run(&node, "PEXPIRE s -1"), ":1\r\n");
  assert_string_equal(op_run(&node, "XLEN s"), ":0\r\n");
  op_close(&node);
}

/* ---- channels ---- */

/* A message on the channel, as the core tells the history of one. */
static void publish(struct op_node *node, const char *channel, const char *payload) {
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), sb_bytes_of(channel), sb_bytes_of(payload)};
  struct sb_buf text = {0};
  struct sb_entry entry;
  uint32_t off = 0;
  sb_entry_append(&text, args, 3);
  struct sb_body *body = sb_body_new(text.len);
  memcpy(body->data, text.data, text.len);
  assert_true(sb_entry_next(sb_buf_bytes(&text), &off, NULL, &entry));
  sb_history_batch(&node->history, OP_GENERATION, ++node->sequence, body, node->now_ms);
  sb_history_add_messages(&node->history, 0, entry.key_off, entry.key_len, 0, 1);
  sb_body_unref(body);
  sb_buf_close(&text);
}

static void a_channel_is_read_as_a_stream(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XLEN c", ":2\r\n"},
      {"XRANGE c - + COUNT 1", "*1\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$4\r\ndata\r\n$3\r\none\r\n"},
      {"XREVRANGE c + - COUNT 1", "*1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$4\r\ndata\r\n$3\r\ntwo\r\n"},
      {"XREAD STREAMS c 1000-4096",
       "*1\r\n*2\r\n$1\r\nc\r\n*1\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$4\r\ndata\r\n$3\r\ntwo\r\n"},
      {"XREAD STREAMS c $", "*-1\r\n"},
      {"XDEL c 1000-4096", ":1\r\n"},
      {"XLEN c", ":1\r\n"},
      {"XTRIM c MAXLEN 0", ":1\r\n"},
      {"XLEN c", ":0\r\n"},
  };
  struct op_node node;
  op_open(&node);
  publish(&node, "c", "one");
  publish(&node, "c", "two");
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

static void a_channel_is_described_from_what_is_known_here(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  sb_history_restart(&node.history, (struct sb_id){900, 7});
  publish(&node, "c", "one");
  publish(&node, "c", "two");
  assert_string_equal(
      op_run(&node, "XINFO STREAM c"),
      "*20\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n"
      "$17\r\nlast-generated-id\r\n$9\r\n1000-8192\r\n$20\r\nmax-deleted-entry-id\r\n$5\r\n900-7\r\n"
      "$13\r\nentries-added\r\n:2\r\n$23\r\nrecorded-first-entry-id\r\n$9\r\n1000-4096\r\n"
      "$6\r\ngroups\r\n:0\r\n"
      "$11\r\nfirst-entry\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$4\r\ndata\r\n$3\r\none\r\n"
      "$10\r\nlast-entry\r\n*2\r\n$9\r\n1000-8192\r\n*2\r\n$4\r\ndata\r\n$3\r\ntwo\r\n");
  op_close(&node);
}

static void the_keys_know_nothing_of_a_channel(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"GET c", "$-1\r\n"},      {"EXPIRE c 100", ":0\r\n"},
      {"EXPIRE c -1", ":0\r\n"}, {"XADD c NOMKSTREAM * f v", "$-1\r\n"},
      {"PERSIST c", ":0\r\n"},   {"EXISTS c c none", ":0\r\n"},
      {"TYPE c", "+none\r\n"},   {"TTL c", ":-2\r\n"},
      {"PTTL c", ":-2\r\n"},     {"EXPIRETIME c", ":-2\r\n"},
      {"DEL c none", ":0\r\n"},  {"UNLINK c", ":0\r\n"},
      {"XLEN c", ":1\r\n"},      {"SET c v NX", "+OK\r\n"},
      {"TYPE c", "+string\r\n"}, {"XRANGE c - +", WRONG_TYPE},
      {"EXISTS c", ":1\r\n"},    {"GETDEL c", "$1\r\nv\r\n"},
      {"XLEN c", ":1\r\n"},      {"SETNX c v", ":1\r\n"},
      {"DEL c", ":1\r\n"},       {"XLEN c", ":1\r\n"},
      {"EXISTS c", ":0\r\n"},
  };
  struct op_node node;
  op_open(&node);
  publish(&node, "c", "one");
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

static void messages_and_entries_of_one_name_are_one_stream(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XADD c * f v", "$9\r\n1000-8192\r\n"},
      {"EXISTS c", ":1\r\n"},
      {"TYPE c", "+stream\r\n"},
      {"XLEN c", ":2\r\n"},
      {"XRANGE c - +", "*2\r\n*2\r\n$9\r\n1000-4096\r\n*2\r\n$4\r\ndata\r\n$3\r\none\r\n"
                       "*2\r\n$9\r\n1000-8192\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
      {"DEL c", ":1\r\n"},
      {"XLEN c", ":0\r\n"},
  };
  struct op_node node;
  op_open(&node);
  publish(&node, "c", "one");
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

/* Nothing can be read where there is no history; a stream is one all the same. */
static void a_node_without_a_history_knows_that_there_is_a_stream(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"XADD s * f v", "$9\r\n1000-4096\r\n"},
      {"XADD s MAXLEN 1 * f v", "$9\r\n1000-8192\r\n"},
      {"XLEN s", ":0\r\n"},
      {"XRANGE s - +", "*0\r\n"},
      {"XREAD STREAMS s +", "*-1\r\n"},
      {"TYPE s", "+stream\r\n"},
      {"XDEL s 1000-4096", ":0\r\n"},
      {"XTRIM s MINID 1000-8192", ":0\r\n"},
      {"DEL s", ":1\r\n"},
      {"XINFO STREAM s", "-ERR no such key\r\n"},
  };
  struct op_node node;
  op_open(&node);
  node.no_history = true;
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_are_added_as_in_redis),
      cmocka_unit_test(ranges_are_read_as_in_redis),
      cmocka_unit_test(entries_are_taken_away_as_in_redis),
      cmocka_unit_test(several_streams_are_read_as_in_redis),
      cmocka_unit_test(facts_about_a_stream_are_told_as_in_redis),
      cmocka_unit_test(only_the_log_gives_ids),
      cmocka_unit_test(a_full_description_is_refused),
      cmocka_unit_test(about_so_many_is_as_many_as_the_history_holds),
      cmocka_unit_test(the_last_entry_is_where_reading_can_begin),
      cmocka_unit_test(what_was_deleted_is_remembered_but_not_beyond_the_last_id),
      cmocka_unit_test(a_stream_that_is_replaced_takes_its_entries_along),
      cmocka_unit_test(a_channel_is_read_as_a_stream),
      cmocka_unit_test(a_channel_is_described_from_what_is_known_here),
      cmocka_unit_test(the_keys_know_nothing_of_a_channel),
      cmocka_unit_test(messages_and_entries_of_one_name_are_one_stream),
      cmocka_unit_test(a_node_without_a_history_knows_that_there_is_a_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
