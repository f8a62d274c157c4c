#!/bin/bash -e
# pi-gen: after 00-packages-nr, in the folder of this file. The files become root's, with their own rights.
cp -R --no-dereference --preserve=mode,links files/. "${ROOTFS_DIR}/"
