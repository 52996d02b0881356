// The parts of a signature without I/O, measured with Google Benchmark.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { nativeProgram } from '../support/paths.mjs';
import { rounded } from '../support/statistics.mjs';

const execute = promisify(execFile);

/** CPU microseconds by operation: the median of the repetitions. */
export async function pure(_, quick) {
  const { stdout } = await execute(nativeProgram('bench_pure'), [
    '--benchmark_format=json',
    `--benchmark_repetitions=${quick ? 3 : 15}`,
    '--benchmark_min_time=0.05',
    '--benchmark_report_aggregates_only=true',
    '--benchmark_enable_random_interleaving=true',
  ]);
  const medians = JSON.parse(stdout).benchmarks.filter(
    ({ aggregate_name }) => aggregate_name === 'median',
  );
  return Object.fromEntries(
    medians.map(({ run_name, cpu_time }) => [run_name, { median: rounded(cpu_time / 1000) }]),
  );
}
