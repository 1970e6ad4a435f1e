package io.malleable.control;

import io.malleable.hardware.PowerState;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** The rows within one transaction. Lists are bounded by their {@code limit} or by the schema. */
public interface Rows {
  Table<Project> projects();

  Images images();

  Disks disks();

  Snapshots snapshots();

  Nodes nodes();

  Bindings bindings();

  Operations operations();

  Events events();

  Boots boots();

  /** What was cloned, copied or promoted from this image or snapshot, or taken above it. */
  List<Dependant> dependants(UUID volume, int limit);

  /** Of those, what belongs to the project. */
  List<Dependant> dependants(UUID volume, UUID project, int limit);

  /** Those of these images and snapshots that the project may see. */
  Set<UUID> visible(UUID project, Set<UUID> volumes);

  /** Images and snapshots that at least one other volume builds on. */
  List<UUID> builtOn();

  Counts counts();

  /** How many images, disks (trash included), snapshots and nodes the project owns. */
  long owned(UUID project);

  /**
   * Rows of one kind. Columns that come from other tables (names of others, use, claims) are read
   * and never written.
   */
  interface Table<T> {
    void insert(T row);

    /** Writes every own column; the revision grows by one. */
    void update(T row);

    void delete(UUID id);

    Optional<T> find(UUID id);

    Optional<T> findByName(UUID project, String name);

    /** In the order of names. */
    List<T> page(UUID project, Optional<String> afterName, int limit);

    /** All projects' rows in the order of ids, for checks and start-up. */
    List<UUID> ids();
  }

  /** Images; a project also sees the public ones of others and those that are shared with it. */
  interface Images extends Table<Image> {
    Optional<Image> findVisible(UUID project, UUID id);

    /** All of that name, its own before others'. */
    List<Image> visible(UUID project, String name, int limit);

    /** The key is {@code name/id}. */
    List<Image> pageVisible(UUID project, Optional<String> afterKey, int limit);

    /** The image is not shared with that project yet. */
    void share(UUID image, UUID project);

    void unshare(UUID image, UUID project);

    /** Names of projects, in their order, for each of these images that is shared. */
    Map<UUID, List<String>> sharedWith(Set<UUID> images);
  }

  /** Disks; {@link #findByName} and {@link #page} leave out the trash. */
  interface Disks extends Table<Disk> {
    /** The one that was trashed last, if several of this name are in the trash. */
    Optional<Disk> findTrashed(UUID project, String name);

    /** The key is {@code name/id}. */
    List<Disk> pageTrashed(UUID project, Optional<String> afterKey, int limit);

    List<Disk> trashedBefore(Instant moment, int limit);
  }

  /** Snapshots. */
  interface Snapshots extends Table<Snapshot> {
    /** Those of one disk, in the order of names. */
    List<Snapshot> pageOfDisk(UUID disk, Optional<String> afterName, int limit);
  }

  /** Nodes. */
  interface Nodes extends Table<Node> {
    Optional<Node> findByMac(MacAddress mac);

    Optional<Node> findByAddress(String address);

    void setPower(UUID node, PowerState power);
  }

  /** Bindings of disks. */
  interface Bindings {
    void insert(Binding binding);

    void update(Binding binding);

    void delete(UUID disk);

    Optional<Binding> ofDisk(UUID disk);

    Optional<Binding> ofNode(UUID node);

    Optional<Binding> ofToken(String phoneHomeToken);

    List<Binding> all();
  }

  /** Operations, their claims and idempotency keys. */
  interface Operations {
    void insert(Operation operation);

    /** Writes state, steps, progress, error and end; the revision grows by one. */
    void update(Operation operation);

    Optional<Operation> find(UUID id);

    /** Oldest first. */
    List<Operation> unfinished();

    long countUnfinished();

    /** Newest first. */
    List<Operation> page(
        UUID project, OperationFilter filter, Optional<String> afterKey, int limit);

    /** What {@link #page} continues from. */
    String key(Operation operation);

    void deleteFinishedBefore(Instant moment, int limit);

    /** A project's finished operations. */
    void deleteOf(UUID project);

    void claim(UUID operation, UUID resource);

    void unclaim(UUID operation, Set<UUID> resources);

    void unclaimAll(UUID operation);

    Optional<UUID> holder(UUID resource);

    void remember(UUID project, String requestKey, String fingerprint, UUID operation);

    Optional<Remembered> remembered(UUID project, String requestKey);
  }

  /** An earlier request with an idempotency key. */
  record Remembered(String fingerprint, UUID operation) {}

  /** Events. */
  interface Events {
    /** Returns the sequence number given. */
    long append(
        Instant at, Optional<UUID> project, String kind, Optional<Ref> subject, String message);

    /** Oldest first; an absent project means all. */
    List<Event> after(long sequence, Optional<UUID> project, int limit);

    /** Newest first. */
    List<Event> before(long sequence, Optional<UUID> project, int limit);

    long latest();

    /** Subjects of whose events of these kinds the latest is one that begins something. */
    Set<UUID> lasting(String begin, Set<String> ends);

    void trim(long keep);
  }

  /** Boots. */
  interface Boots {
    void insert(Boot boot);

    void addStage(UUID node, long number, Boot.Stage stage);

    Optional<Boot> latest(UUID node);

    /** Newest first. */
    List<Boot> list(UUID node, int limit);

    void trim(UUID node, int keep);
  }

  /**
   * What lives on an image or a snapshot.
   *
   * @param project name of its owner
   */
  record Dependant(Ref ref, UUID projectId, String project) {}

  /**
   * How many there are over all projects.
   *
   * @param provisionedBytes virtual sizes of all disks together
   */
  record Counts(
      long projects,
      long images,
      long disks,
      long snapshots,
      long nodes,
      long operations,
      long provisionedBytes) {}
}
