package io.malleable.server;

import io.malleable.control.VolumesByKind;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The server on the wire.
 *
 * @param storeFault why the store does not say how full it is, what is shared or what is damaged;
 *     what it does not say is absent
 * @param storeFull absent when no machine's write finds it full
 * @param damaged absent when nothing is known to be damaged
 * @param failed what takes no writes as its storage failed; absent when there is none
 */
record SystemBody(
    String version,
    Instant startedAt,
    long uptimeSeconds,
    String dataDirectory,
    String labDirectory,
    Addresses addresses,
    @Nullable Space capacity,
    @Nullable String storeFault,
    @Nullable StoreFull storeFull,
    @Nullable Volumes damaged,
    @Nullable Volumes failed,
    Descriptors descriptors,
    List<Listener> listeners,
    Counts counts) {
  /** Where it listens. */
  record Addresses(String api, String boot, String iscsi) {}

  /**
   * Open files and sockets of the process.
   *
   * @param shortage absent when the limit is high enough
   */
  record Descriptors(long open, long limit, @Nullable String shortage) {
    static Descriptors of(ServerFacts.DescriptorFacts facts) {
      return new Descriptors(facts.open(), facts.limit(), facts.shortage().orElse(null));
    }
  }

  /** How many connections a listener has, and may have. */
  record Listener(String name, long connections, long budget) {
    static List<Listener> of(ServerFacts.DescriptorFacts facts) {
      return facts.listeners().stream()
          .map(each -> new Listener(each.name(), each.connections(), each.budget()))
          .toList();
    }
  }

  /** Since when, and how many disks' writes are held, or fail. */
  record StoreFull(Instant since, long held, long refused) {
    static @Nullable StoreFull of(Optional<ServerFacts.StoreFullFacts> facts) {
      return facts
          .map(each -> new StoreFull(each.since(), each.held(), each.refused()))
          .orElse(null);
    }
  }

  /** How full it is, and what sharing saves. */
  record Space(
      long totalBytes,
      long availableBytes,
      long allocatedBytes,
      @Nullable Long sharedBytes,
      long provisionedBytes) {
    static Space of(io.malleable.control.Space space, @Nullable Long sharedBytes) {
      return new Space(
          space.capacity().totalBytes(),
          space.capacity().availableBytes(),
          space.capacity().allocatedBytes(),
          sharedBytes,
          space.provisionedBytes());
    }
  }

  /** How many there are of each that something is wrong with. */
  record Volumes(long images, long disks, long snapshots) {
    static @Nullable Volumes of(VolumesByKind volumes) {
      return volumes.none()
          ? null
          : new Volumes(volumes.images(), volumes.disks(), volumes.snapshots());
    }
  }

  /** How many there are of each. */
  record Counts(
      long projects,
      long images,
      long disks,
      long snapshots,
      long nodes,
      long operations,
      long sessions) {}
}
