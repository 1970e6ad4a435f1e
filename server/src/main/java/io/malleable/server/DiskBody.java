package io.malleable.server;

import io.malleable.control.Ancestor;
import io.malleable.control.Disk;
import io.malleable.control.Exposure;
import io.malleable.control.LostWrites;
import io.malleable.control.Ref;
import io.malleable.control.Targets;
import io.malleable.control.WriteCache;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A disk on the wire. */
record DiskBody(
    UUID id,
    String name,
    String project,
    String state,
    Instant createdAt,
    long sizeBytes,
    @Nullable Long allocatedBytes,
    @Nullable String storeFault,
    @Nullable String damage,
    @Nullable FaultBody fault,
    @Nullable String parent,
    @Nullable UUID parentId,
    @Nullable List<AncestorBody> lineage,
    @Nullable String node,
    @Nullable Boolean writeCache,
    @Nullable WritesLost writesLost,
    @Nullable WritesRefused writesRefused,
    @Nullable Instant deletedAt,
    @Nullable Instant purgeAt,
    @Nullable Iscsi iscsi,
    @Nullable String warning) {
  /**
   * A disk as its owner sees it.
   *
   * @param lineage absent in lists
   * @param target what is said of it; nothing in lists
   * @param warning of the operation that this answers
   */
  static DiskBody of(
      Disk disk,
      Optional<Instant> purgeAt,
      Optional<List<Ancestor>> lineage,
      AtTarget target,
      Optional<String> warning) {
    return new DiskBody(
        disk.id(),
        disk.name(),
        disk.project(),
        disk.stateWord(),
        disk.createdAt(),
        disk.sizeBytes(),
        disk.measure().allocatedBytes().orElse(null),
        disk.measure().storeFault().orElse(null),
        disk.measure().damage().orElse(null),
        FaultBody.of(disk.measure()),
        disk.parent().map(Ref::name).orElse(null),
        disk.parent().map(Ref::id).orElse(null),
        lineage.map(AncestorBody::of).orElse(null),
        disk.node().map(Ref::name).orElse(null),
        exposed(disk).map(use -> use.writeCache() == WriteCache.WRITE_BACK).orElse(null),
        exposed(disk).flatMap(Disk.Use.Exposed::lostWrites).map(WritesLost::of).orElse(null),
        target.refusal().map(WritesRefused::of).orElse(null),
        disk.trashedAt().orElse(null),
        purgeAt.orElse(null),
        target.iscsi().orElse(null),
        warning.orElse(null));
  }

  private static Optional<Disk.Use.Exposed> exposed(Disk disk) {
    return disk.use() instanceof Disk.Use.Exposed use ? Optional.of(use) : Optional.empty();
  }

  /** What is known only where machines reach it. */
  record AtTarget(Optional<Iscsi> iscsi, Optional<Targets.Refusal> refusal) {
    static final AtTarget UNTOLD = new AtTarget(Optional.empty(), Optional.empty());
  }

  /** Why writes that need more room are not done. */
  record WritesRefused(String reason, Instant since) {
    static WritesRefused of(Targets.Refusal refusal) {
      return new WritesRefused(refusal.reason() + ".", refusal.since());
    }
  }

  /** Why its secret has changed. */
  record WritesLost(String reason, Instant since) {
    static WritesLost of(LostWrites lost) {
      return new WritesLost(LostWrites.REASON, lost.since());
    }
  }

  /** How to reach an exposed disk. */
  record Iscsi(
      String url,
      String target,
      String portal,
      int lun,
      @Nullable String initiator,
      String username,
      String password) {
    static Iscsi of(Exposure exposure, String portal) {
      return new Iscsi(
          "iscsi://" + portal + "/" + exposure.target() + "/" + exposure.lun(),
          exposure.target(),
          portal,
          exposure.lun(),
          exposure.initiator().orElse(null),
          exposure.chap().username(),
          exposure.chap().secret());
    }

    @Override
    public String toString() {
      return "Iscsi[url=" + url + "]";
    }
  }

  /** Asks for a new disk of exactly one of image and snapshot. */
  record Create(
      @Nullable String name,
      @Nullable String image,
      @Nullable String snapshot,
      @Nullable Long sizeBytes) {}

  /** What is left out stays. */
  record Change(@Nullable String name, @Nullable Long sizeBytes) {}

  /** Whether writes may be acknowledged before they are durable; they may not when left out. */
  record Expose(@Nullable Boolean writeCache) {}

  /** Which snapshot to go back to. */
  record Rollback(@Nullable String snapshot) {}

  /** Brings it back; under another name if one is given. */
  record Undelete(@Nullable String name) {}
}
