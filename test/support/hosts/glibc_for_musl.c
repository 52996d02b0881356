// What Debian's libstdc++ and tpm2-tss ask of glibc and musl does not have, so that they can be
// loaded in a host for musl: scripts/hosts/musl.mjs. Compiled with the headers of glibc, so that it
// refers to functions only that both have.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;

uint32_t arc4random(void) {
  uint32_t value;
  getrandom(&value, sizeof value, 0);
  return value;
}

size_t __strftime_l(char* text, size_t size, const char* format, const struct tm* time,
                    locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}

// -1: not supported here. The callers have another way.
int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* library) {
  (void)destroy, (void)object, (void)library;
  return -1;
}
int _dl_find_object(void* address, void* result) {
  (void)address, (void)result;
  return -1;
}

// Of libgcc_s: musl does not find them there, because of their symbol versions.
unsigned __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }

int __vsnprintf_chk(char* text, size_t size, int flag, size_t room, const char* format,
                    va_list arguments) {
  (void)flag, (void)room;
  return vsnprintf(text, size, format, arguments);
}

int __snprintf_chk(char* text, size_t size, int flag, size_t room, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = __vsnprintf_chk(text, size, flag, room, format, arguments);
  va_end(arguments);
  return length;
}

int __sprintf_chk(char* text, int flag, size_t room, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = __vsnprintf_chk(text, room, flag, room, format, arguments);
  va_end(arguments);
  return length;
}

int __vfprintf_chk(FILE* file, int flag, const char* format, va_list arguments) {
  (void)flag;
  return vfprintf(file, format, arguments);
}

int __fprintf_chk(FILE* file, int flag, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = __vfprintf_chk(file, flag, format, arguments);
  va_end(arguments);
  return length;
}
