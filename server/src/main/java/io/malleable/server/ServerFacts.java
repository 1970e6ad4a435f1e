package io.malleable.server;

import io.malleable.volume.Capacity;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** What the API tells of the server that it belongs to. */
public interface ServerFacts {
  String version();

  Instant startedAt();

  Path dataDirectory();

  /** Where the lab's machines are defined. */
  Path labDirectory();

  /** URL of the API's listener; a wildcard address is shown as such. */
  String apiAddress();

  /** URL of the boot listener. */
  String bootAddress();

  /** The target's listener, {@code HOST:PORT}. */
  String iscsiAddress();

  Capacity capacity() throws IOException;

  /** What the target does now. */
  TargetFacts target();

  /**
   * Counters of the target.
   *
   * @param targets defined now
   * @param sessions logged in now
   * @param readBytes since the start
   * @param writtenBytes since the start
   * @param failedLogins since the start
   */
  record TargetFacts(
      int targets, int sessions, long readBytes, long writtenBytes, long failedLogins) {}

  /** Open files and connections, and how many there may be. */
  DescriptorFacts descriptors();

  /**
   * The descriptors of the server's process.
   *
   * @param open now
   * @param limit of the system for this process
   * @param shortage what the limit is too low for, and what to do; empty when it is not
   * @param listeners those that are on
   */
  record DescriptorFacts(
      long open, long limit, Optional<String> shortage, List<ListenerFacts> listeners) {
    public DescriptorFacts {
      listeners = List.copyOf(listeners);
    }
  }

  /**
   * A listener.
   *
   * @param name {@code api}, {@code boot}, {@code iscsi} or {@code tftp}
   * @param connections now
   * @param budget how many there may be
   */
  record ListenerFacts(String name, long connections, long budget) {}

  /** Machines whose writes find no room in the store; empty when there are none. */
  Optional<StoreFullFacts> storeFull();

  /**
   * A full store, as machines find it.
   *
   * @param since the first of these writes
   * @param held disks whose writes are sent again until there is room
   * @param refused disks whose writes fail, as there was none in time
   */
  record StoreFullFacts(Instant since, long held, long refused) {}

  /** What booting machines did. */
  BootFacts boots();

  /**
   * Counters of boots since the start.
   *
   * @param scripts boot scripts that named a drive
   * @param otherScripts boot scripts for machines without a drive
   * @param failedDrives drives that a firmware could not boot
   * @param ready systems that reported to be up
   */
  record BootFacts(long scripts, long otherScripts, long failedDrives, long ready) {}
}
