package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * The functions of {@code librados.so.2} and {@code librbd.so.1} that the store uses, with the C
 * signatures of Ceph 16's {@code librados.h} and {@code librbd.h}. A negative result is a negated
 * errno.
 *
 * <p>Calls that may block are ordinary downcalls: a platform or virtual thread that makes one holds
 * its carrier, which is why bulk I/O goes through the asynchronous calls.
 */
final class CephLibraries {
  /** {@code RBD_IMAGE_OPTION_FEATURES}. */
  static final int IMAGE_OPTION_FEATURES = 1;

  /** {@code RBD_IMAGE_OPTION_CLONE_FORMAT}. */
  static final int IMAGE_OPTION_CLONE_FORMAT = 12;

  /**
   * Layering, exclusive lock, object map, fast diff and deep flatten: what {@code rbd create}
   * enables by default.
   */
  static final long DEFAULT_FEATURES = 1 | 4 | 8 | 16 | 32;

  /** {@code EVENT_TYPE_EVENTFD}. */
  static final int EVENT_TYPE_EVENTFD = 2;

  /** {@code RBD_SNAP_NAMESPACE_TYPE_USER}. */
  static final int SNAP_NAMESPACE_TYPE_USER = 0;

  /** {@code RBD_LOCK_MODE_EXCLUSIVE}. */
  static final int LOCK_MODE_EXCLUSIVE = 0;

  private static final AddressLayout POINTER = ADDRESS;
  private static final MemoryLayout SIZE_T = JAVA_LONG;

  final MethodHandle radosCreate2;
  final MethodHandle radosConfReadFile;
  final MethodHandle radosConfSet;
  final MethodHandle radosConnect;
  final MethodHandle radosShutdown;
  final MethodHandle radosIoctxCreate;
  final MethodHandle radosIoctxDestroy;
  final MethodHandle radosClusterStat;
  final MethodHandle radosMonCommand;
  final MethodHandle radosBufferFree;
  final MethodHandle radosGetAddrs;
  final MethodHandle radosAioCreateCompletion2;
  final MethodHandle radosCreateReadOp;
  final MethodHandle radosReleaseReadOp;
  final MethodHandle radosReadOpExecUserBuf;
  final MethodHandle radosAioReadOpOperate;
  final MethodHandle radosAioWaitForComplete;
  final MethodHandle radosAioGetReturnValue;
  final MethodHandle radosAioRelease;

  final MethodHandle imageOptionsCreate;
  final MethodHandle imageOptionsDestroy;
  final MethodHandle imageOptionsSetUint64;
  final MethodHandle create4;
  final MethodHandle clone3;
  final MethodHandle list2;
  final MethodHandle imageSpecListCleanup;
  final MethodHandle rename;
  final MethodHandle trashMove;
  final MethodHandle trashList;
  final MethodHandle trashListCleanup;
  final MethodHandle trashRemoveWithProgress;

  final MethodHandle open;
  final MethodHandle openById;
  final MethodHandle openReadOnly;
  final MethodHandle close;
  final MethodHandle getSize;
  final MethodHandle resize;
  final MethodHandle flattenWithProgress;
  final MethodHandle getParent;
  final MethodHandle linkedImageSpecCleanup;
  final MethodHandle snapSpecCleanup;
  final MethodHandle diffIterate2;
  final MethodHandle metadataGet;
  final MethodHandle metadataSet;
  final MethodHandle metadataList;
  final MethodHandle snapCreate;
  final MethodHandle snapRemove;
  final MethodHandle snapGetId;
  final MethodHandle snapList;
  final MethodHandle snapListEnd;
  final MethodHandle snapGetNamespaceType;
  final MethodHandle lockAcquire;
  final MethodHandle lockGetOwners;
  final MethodHandle lockGetOwnersCleanup;
  final MethodHandle lockBreak;

  final MethodHandle setImageNotification;
  final MethodHandle pollIoEvents;
  final MethodHandle aioCreateCompletion;
  final MethodHandle aioRelease;
  final MethodHandle aioGetArg;
  final MethodHandle aioGetReturnValue;
  final MethodHandle aioRead;
  final MethodHandle aioWrite;
  final MethodHandle aioWriteZeroes;
  final MethodHandle aioFlush;

  private CephLibraries(SymbolLookup rados, SymbolLookup rbd) {
    radosCreate2 = bind(rados, "rados_create2", JAVA_INT, POINTER, POINTER, POINTER, JAVA_LONG);
    radosConfReadFile = bind(rados, "rados_conf_read_file", JAVA_INT, POINTER, POINTER);
    radosConfSet = bind(rados, "rados_conf_set", JAVA_INT, POINTER, POINTER, POINTER);
    radosConnect = bind(rados, "rados_connect", JAVA_INT, POINTER);
    radosShutdown = bindVoid(rados, "rados_shutdown", POINTER);
    radosIoctxCreate = bind(rados, "rados_ioctx_create", JAVA_INT, POINTER, POINTER, POINTER);
    radosIoctxDestroy = bindVoid(rados, "rados_ioctx_destroy", POINTER);
    radosClusterStat = bind(rados, "rados_cluster_stat", JAVA_INT, POINTER, POINTER);

    radosMonCommand =
        bind(
            rados,
            "rados_mon_command",
            JAVA_INT,
            POINTER,
            POINTER,
            SIZE_T,
            POINTER,
            SIZE_T,
            POINTER,
            POINTER,
            POINTER,
            POINTER);
    radosBufferFree = bindVoid(rados, "rados_buffer_free", POINTER);
    radosGetAddrs = bind(rados, "rados_getaddrs", JAVA_INT, POINTER, POINTER);
    radosAioCreateCompletion2 =
        bind(rados, "rados_aio_create_completion2", JAVA_INT, POINTER, POINTER, POINTER);
    radosCreateReadOp = bind(rados, "rados_create_read_op", POINTER);
    radosReleaseReadOp = bindVoid(rados, "rados_release_read_op", POINTER);
    radosReadOpExecUserBuf =
        bindVoid(
            rados,
            "rados_read_op_exec_user_buf",
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            SIZE_T,
            POINTER,
            SIZE_T,
            POINTER,
            POINTER);
    radosAioReadOpOperate =
        bind(
            rados,
            "rados_aio_read_op_operate",
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            JAVA_INT);
    radosAioWaitForComplete = bind(rados, "rados_aio_wait_for_complete", JAVA_INT, POINTER);
    radosAioGetReturnValue = bind(rados, "rados_aio_get_return_value", JAVA_INT, POINTER);
    radosAioRelease = bindVoid(rados, "rados_aio_release", POINTER);

    imageOptionsCreate = bindVoid(rbd, "rbd_image_options_create", POINTER);
    imageOptionsDestroy = bindVoid(rbd, "rbd_image_options_destroy", POINTER);
    imageOptionsSetUint64 =
        bind(rbd, "rbd_image_options_set_uint64", JAVA_INT, POINTER, JAVA_INT, JAVA_LONG);
    create4 = bind(rbd, "rbd_create4", JAVA_INT, POINTER, POINTER, JAVA_LONG, POINTER);
    clone3 =
        bind(rbd, "rbd_clone3", JAVA_INT, POINTER, POINTER, POINTER, POINTER, POINTER, POINTER);
    list2 = bind(rbd, "rbd_list2", JAVA_INT, POINTER, POINTER, POINTER);
    imageSpecListCleanup = bindVoid(rbd, "rbd_image_spec_list_cleanup", POINTER, SIZE_T);
    rename = bind(rbd, "rbd_rename", JAVA_INT, POINTER, POINTER, POINTER);
    trashMove = bind(rbd, "rbd_trash_move", JAVA_INT, POINTER, POINTER, JAVA_LONG);
    trashList = bind(rbd, "rbd_trash_list", JAVA_INT, POINTER, POINTER, POINTER);
    trashListCleanup = bindVoid(rbd, "rbd_trash_list_cleanup", POINTER, SIZE_T);
    trashRemoveWithProgress =
        bind(
            rbd,
            "rbd_trash_remove_with_progress",
            JAVA_INT,
            POINTER,
            POINTER,
            JAVA_BYTE,
            POINTER,
            POINTER);

    open = bind(rbd, "rbd_open", JAVA_INT, POINTER, POINTER, POINTER, POINTER);
    openById = bind(rbd, "rbd_open_by_id", JAVA_INT, POINTER, POINTER, POINTER, POINTER);
    openReadOnly = bind(rbd, "rbd_open_read_only", JAVA_INT, POINTER, POINTER, POINTER, POINTER);
    close = bind(rbd, "rbd_close", JAVA_INT, POINTER);
    getSize = bind(rbd, "rbd_get_size", JAVA_INT, POINTER, POINTER);
    resize = bind(rbd, "rbd_resize", JAVA_INT, POINTER, JAVA_LONG);
    flattenWithProgress =
        bind(rbd, "rbd_flatten_with_progress", JAVA_INT, POINTER, POINTER, POINTER);
    getParent = bind(rbd, "rbd_get_parent", JAVA_INT, POINTER, POINTER, POINTER);
    linkedImageSpecCleanup = bindVoid(rbd, "rbd_linked_image_spec_cleanup", POINTER);
    snapSpecCleanup = bindVoid(rbd, "rbd_snap_spec_cleanup", POINTER);
    diffIterate2 =
        bind(
            rbd,
            "rbd_diff_iterate2",
            JAVA_INT,
            POINTER,
            POINTER,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_BYTE,
            JAVA_BYTE,
            POINTER,
            POINTER);
    metadataGet = bind(rbd, "rbd_metadata_get", JAVA_INT, POINTER, POINTER, POINTER, POINTER);
    metadataSet = bind(rbd, "rbd_metadata_set", JAVA_INT, POINTER, POINTER, POINTER);
    metadataList =
        bind(
            rbd,
            "rbd_metadata_list",
            JAVA_INT,
            POINTER,
            POINTER,
            JAVA_LONG,
            POINTER,
            POINTER,
            POINTER,
            POINTER);
    snapCreate = bind(rbd, "rbd_snap_create", JAVA_INT, POINTER, POINTER);
    snapRemove = bind(rbd, "rbd_snap_remove", JAVA_INT, POINTER, POINTER);
    snapGetId = bind(rbd, "rbd_snap_get_id", JAVA_INT, POINTER, POINTER, POINTER);
    snapList = bind(rbd, "rbd_snap_list", JAVA_INT, POINTER, POINTER, POINTER);
    snapListEnd = bindVoid(rbd, "rbd_snap_list_end", POINTER);
    snapGetNamespaceType =
        bind(rbd, "rbd_snap_get_namespace_type", JAVA_INT, POINTER, JAVA_LONG, POINTER);
    lockAcquire = bind(rbd, "rbd_lock_acquire", JAVA_INT, POINTER, JAVA_INT);
    lockGetOwners = bind(rbd, "rbd_lock_get_owners", JAVA_INT, POINTER, POINTER, POINTER, POINTER);
    lockGetOwnersCleanup = bindVoid(rbd, "rbd_lock_get_owners_cleanup", POINTER, SIZE_T);
    lockBreak = bind(rbd, "rbd_lock_break", JAVA_INT, POINTER, JAVA_INT, POINTER);

    setImageNotification =
        bind(rbd, "rbd_set_image_notification", JAVA_INT, POINTER, JAVA_INT, JAVA_INT);
    pollIoEvents = bind(rbd, "rbd_poll_io_events", JAVA_INT, POINTER, POINTER, JAVA_INT);
    aioCreateCompletion =
        bind(rbd, "rbd_aio_create_completion", JAVA_INT, POINTER, POINTER, POINTER);
    aioRelease = bindVoid(rbd, "rbd_aio_release", POINTER);
    aioGetArg = bind(rbd, "rbd_aio_get_arg", POINTER, POINTER);
    aioGetReturnValue = bind(rbd, "rbd_aio_get_return_value", JAVA_LONG, POINTER);
    aioRead = bind(rbd, "rbd_aio_read", JAVA_INT, POINTER, JAVA_LONG, SIZE_T, POINTER, POINTER);
    aioWrite = bind(rbd, "rbd_aio_write", JAVA_INT, POINTER, JAVA_LONG, SIZE_T, POINTER, POINTER);
    aioWriteZeroes =
        bind(
            rbd,
            "rbd_aio_write_zeroes",
            JAVA_INT,
            POINTER,
            JAVA_LONG,
            SIZE_T,
            POINTER,
            JAVA_INT,
            JAVA_INT);
    aioFlush = bind(rbd, "rbd_aio_flush", JAVA_INT, POINTER, POINTER);
  }

  private static @Nullable CephLibraries instance;

  /**
   * Loads both libraries, once, for the life of the process; they cannot be unloaded safely.
   *
   * @throws VolumeException {@code UNAVAILABLE} naming the library and the Debian package that
   *     brings it
   */
  static synchronized CephLibraries get() throws VolumeException {
    CephLibraries loaded = instance;
    if (loaded == null) {
      loaded =
          new CephLibraries(load("librados.so.2", "librados2"), load("librbd.so.1", "librbd1"));
      instance = loaded;
    }
    return loaded;
  }

  private static SymbolLookup load(String soname, String debianPackage) throws VolumeException {
    try {
      return SymbolLookup.libraryLookup(soname, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          soname
              + " cannot be loaded, and volumes on Ceph need it: install the Debian package "
              + debianPackage,
          e);
    }
  }

  private static MethodHandle bind(
      SymbolLookup lookup, String name, MemoryLayout result, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(lookup.findOrThrow(name), FunctionDescriptor.of(result, arguments));
  }

  private static MethodHandle bindVoid(
      SymbolLookup lookup, String name, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(lookup.findOrThrow(name), FunctionDescriptor.ofVoid(arguments));
  }
}
