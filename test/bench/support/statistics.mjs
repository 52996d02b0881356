/** The value that `share` of the values are below. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values) => quantile(values, 0.5);

export const rounded = (value) => Math.round(value * 100) / 100;

export function spread(values) {
  return {
    count: values.length,
    min: rounded(quantile(values, 0)),
    median: rounded(median(values)),
    p99: rounded(quantile(values, 0.99)),
  };
}

/** Times in nanoseconds, converted to microseconds. */
export const summary = (nanoseconds) => spread(nanoseconds.map((value) => value / 1000));
