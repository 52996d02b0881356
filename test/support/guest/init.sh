#!/bin/busybox sh
# shellcheck shell=sh
# The first process of the guest that run-guest.sh boots: runs /command in /work and powers off.
# Output and exit status go through the virtio ports named out, err and status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd

chmod 1777 /tmp /var/tmp
chmod 700 /root
chown app:app /home/app
ip link set lo up

for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
  virtio_blk virtio_console virtio-rng; do
  # A driver without a module file is built into the kernel.
  [ ! -e "/modules/$module.ko" ] || insmod "/modules/$module.ko"
done

# await SECONDS COMMAND...: waits until the command succeeds.
await() {
  tries=$(($1 * 10))
  shift
  while ! "$@" && [ "$tries" -gt 0 ]; do
    usleep 100000
    tries=$((tries - 1))
  done
}
ports_are_named() { [ "$(cat /sys/class/virtio-ports/*/name 2>/dev/null | wc -l)" = 3 ]; }
await 30 ports_are_named
await 30 test -e /dev/tpmrm0
if [ -e /dev/vda ]; then
  mkdir /kept
  mount -t ext4 /dev/vda /kept
fi

# Like Debian's tpm-udev.
chown tss:root /dev/tpm0
chown tss:tss /dev/tpmrm0
chmod 660 /dev/tpm0 /dev/tpmrm0

port() {
  for candidate in /sys/class/virtio-ports/*; do
    if [ "$(cat "$candidate/name")" = "$1" ]; then echo "/dev/${candidate##*/}"; fi
  done
}

# Through pipes, because Node.js cannot write to a virtio port.
mkfifo /run/out /run/err
cat /run/out >"$(port out)" &
out=$!
cat /run/err >"$(port err)" &
err=$!
cd /work || exit
env -i PATH="$PATH" HOME=/root LANG="$LANG" TPM2TOOLS_TCTI=device:/dev/tpmrm0 \
  bash /command </dev/null >/run/out 2>/run/err
status=$?

# Processes that the command has started may keep the pipes open.
(
  sleep 5
  kill "$out" "$err"
) 2>/dev/null &
wait "$out" "$err"
echo "$status" >"$(port status)"
sync
poweroff -f
