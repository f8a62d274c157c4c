#!/bin/bash -e
# pi-gen: a stage goes on from what the stage before has left.
if [ ! -d "${ROOTFS_DIR}" ]; then
  copy_previous
fi
