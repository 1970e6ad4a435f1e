package io.malleable.volume.rbd;

import java.io.IOException;

/** A call into librados or librbd that failed, with its errno. */
final class CephException extends IOException {
  static final int EPERM = 1;
  static final int ENOENT = 2;
  static final int EIO = 5;
  static final int EACCES = 13;
  static final int EBUSY = 16;
  static final int EEXIST = 17;
  static final int ENOSPC = 28;
  static final int EROFS = 30;
  static final int ERANGE = 34;
  static final int ENOTEMPTY = 39;
  static final int ESHUTDOWN = 108;
  static final int ETIMEDOUT = 110;
  static final int EDQUOT = 122;
  static final int ECANCELED = 125;

  private final int errno;

  CephException(String call, long result) {
    super(call + " failed: " + describe((int) -result));
    this.errno = (int) -result;
  }

  int errno() {
    return errno;
  }

  private static String describe(int errno) {
    String text =
        switch (errno) {
          case EPERM -> "EPERM, the cephx user lacks a capability or its key is wrong";
          case ENOENT -> "ENOENT, no such object";
          case EACCES -> "EACCES, permission denied";
          case EBUSY -> "EBUSY, in use";
          case EEXIST -> "EEXIST, exists already";
          case ENOSPC -> "ENOSPC, the cluster is full";
          case EROFS -> "EROFS, another client holds the exclusive lock";
          case ENOTEMPTY -> "ENOTEMPTY, snapshots or clones depend on it";
          case ESHUTDOWN -> "ESHUTDOWN, the cluster has blocklisted this client";
          case ETIMEDOUT ->
              "ETIMEDOUT, the cluster did not answer in time: a monitor or OSD is down, or a pool is full";
          case EIO -> "EIO, the cluster could not read or write it";
          case ECANCELED -> "ECANCELED, it was ended on request";
          case EDQUOT -> "EDQUOT, the pool's quota is used up";
          default -> "errno " + errno;
        };
    return text;
  }
}
