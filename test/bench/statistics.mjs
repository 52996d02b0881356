/** The value below which `share` of the values lie. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values) => quantile(values, 0.5);

/** Of times in nanoseconds, in microseconds. */
export function summary(nanoseconds) {
  const us = (value) => Math.round(value / 10) / 100;
  return {
    count: nanoseconds.length,
    min: us(quantile(nanoseconds, 0)),
    median: us(median(nanoseconds)),
    p99: us(quantile(nanoseconds, 0.99)),
  };
}
