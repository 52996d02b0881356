// The Google Benchmark suite.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** CPU microseconds by the name of the benchmark, the median of repetitions. */
export function pureParts(cache, quick) {
  const text = execFileSync(
    path.join(cache, 'build/test/bench/native/bench_pure'),
    [
      '--benchmark_format=json',
      `--benchmark_repetitions=${quick ? 3 : 15}`,
      '--benchmark_min_time=0.05',
      '--benchmark_report_aggregates_only=true',
      '--benchmark_enable_random_interleaving=true',
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const medians = JSON.parse(text).benchmarks.filter((entry) => entry.aggregate_name === 'median');
  return Object.fromEntries(
    medians.map((entry) => [
      entry.run_name,
      { median: Math.round(entry.cpu_time / 10) / 100 }, // nanoseconds by default
    ]),
  );
}
