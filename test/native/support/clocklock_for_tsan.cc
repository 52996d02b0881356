// ThreadSanitizer of GCC 12 does not know pthread_mutex_clocklock, with which std::timed_mutex
// waits for a time of the steady clock: it takes what such a mutex guards for a race. This one, in
// the suites that are built with ThreadSanitizer alone, locks with calls that it knows.
#include <pthread.h>
#include <time.h>

#include <cerrno>

extern "C" int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                       const timespec* deadline) noexcept {
  while (true) {
    const int failure = pthread_mutex_trylock(mutex);
    if (failure != EBUSY) return failure;
    timespec now;
    clock_gettime(clock, &now);
    if (now.tv_sec > deadline->tv_sec ||
        (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec)) {
      return ETIMEDOUT;
    }
    const timespec millisecond{0, 1'000'000};
    nanosleep(&millisecond, nullptr);
  }
}
