# Reads "measurement, program, run, name, value" and prints "measurement/program/name" and the median over the runs;
# for throughput and latency also, as "name:other", the median, lowest and highest ratio to each other program
# measured in the same run. All runs together give the share of the machine that went to other processes.
function median(list, n,    i, j, v) {
  for (i = 2; i <= n; i++) {
    v = list[i]
    for (j = i - 1; j >= 1 && list[j] > v; j--) list[j + 1] = list[j]
    list[j + 1] = v
  }
  return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

{
  value[$1, $2, $3, $4] = $5
  if (!(($1, $2, $4) in seen)) { seen[$1, $2, $4]; order[++series] = $1 SUBSEP $2 SUBSEP $4 }
  if (!(($1, $2) in programs)) { programs[$1, $2]; of[$1] = of[$1] " " $2 }
  if ($3 > runs) runs = $3
}

END {
  processors = ENVIRON["PROCESSORS"]
  for (s = 1; s <= series; s++) {
    split(order[s], part, SUBSEP)
    n = 0
    for (r = 1; r <= runs; r++) if ((part[1], part[2], r, part[3]) in value) list[++n] = value[part[1], part[2], r, part[3]] + 0
    printf "%s/%s/%s\t%s\n", part[1], part[2], part[3], median(list, n)
    if (part[3] !~ /^(per_second|p50_ms|p99_ms)$/) continue
    others = split(of[part[1]], other, " ")
    for (o = 1; o <= others; o++) {
      n = 0
      for (r = 1; r <= runs; r++) {
        theirs = value[part[1], other[o], r, part[3]] + 0
        if (theirs > 0 && (part[1], part[2], r, part[3]) in value) list[++n] = value[part[1], part[2], r, part[3]] / theirs
      }
      if (n == 0) continue
      name = part[1] "/" part[2] "/" part[3] ":" other[o]
      printf "%s\t%.2f\n", name, median(list, n)
      printf "%s_min\t%.2f\n%s_max\t%.2f\n", name, list[1], name, list[n]
    }
  }
  n = 0
  for (key in value) {
    split(key, part, SUBSEP)
    if (part[4] != "others_ms") continue
    span = value[part[1], part[2], part[3], "seconds"] * 10 * processors
    if (span > 0) list[++n] = value[key] / span
  }
  if (n > 0) {
    printf "all/all/others_share\t%.0f\n", median(list, n)
    printf "all/all/others_share_max\t%.0f\n", list[n]
  }
}
