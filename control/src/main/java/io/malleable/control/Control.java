package io.malleable.control;

import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * The control plane. In the order of a start: {@link #open}, {@link #start} (targets of all bound
 * disks are there again), then the caller opens the iSCSI portal, the boot listener and the API,
 * then {@link #resume} (unfinished operations go on). In the order of a stop: the caller closes the
 * API, calls {@link #close}, closes the portal and the store.
 */
public final class Control implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Control.class.getName());
  private static final long TICK_MILLIS = 500;
  private static final long STOP_MILLIS = 10_000;
  private static final Duration HOUSEKEEPING = Duration.ofMinutes(1);

  private final Ports ports;
  private final ControlSettings settings;

  /** Asked for the space alone: the monitors of a cluster know that also while no OSD answers. */
  private final PatientStore spaceStore;

  private final Engine engine;
  private final BootTimeline timeline;
  private final Projects projects;
  private final Images images;
  private final Disks disks;
  private final Snapshots snapshots;
  private final Nodes nodes;
  private final Operations operations;
  private final Events events;
  private final Lineage lineage;
  private final SpaceWatch spaceWatch;
  private final SharedBytes sharedBytes;
  private final DamagedVolumes damagedVolumes;
  private final FailedVolumes failedVolumes;
  private final TrashPurge trashPurge;
  private final HostCrashes hostCrashes;
  private final ScheduledExecutorService ticker =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("control-tick").daemon().factory());
  private volatile Instant housekeepingDue = Instant.MIN;
  private volatile Instant spaceDue = Instant.MIN;

  private Control(Ports bare, ControlSettings settings, FaultPoints faults) {
    Signal signal = new Signal();
    this.ports = bare.withDatabase(new SignallingDatabase(bare.database(), signal));
    this.settings = settings;
    this.engine = new Engine(ports, faults);
    this.timeline = new BootTimeline(ports, engine, settings.bootsKept());
    this.projects = new Projects(ports);
    PatientStore store = new PatientStore(ports.volumes(), settings.storePatience());
    this.spaceStore = new PatientStore(ports.volumes(), settings.storePatience());
    this.images = new Images(ports, store, engine);
    this.disks = new Disks(ports, store, engine);
    this.snapshots = new Snapshots(ports, store, engine);
    this.nodes = new Nodes(ports, engine, timeline, new BootExplainer(ports, settings.deadlines()));
    this.operations = new Operations(ports, engine, signal);
    this.events = new Events(ports, signal);
    this.lineage = new Lineage(ports);
    this.spaceWatch = new SpaceWatch(ports, events);
    this.sharedBytes = new SharedBytes(ports, store);
    this.damagedVolumes = new DamagedVolumes(ports, store);
    this.failedVolumes = new FailedVolumes(ports);
    this.trashPurge = new TrashPurge(ports, disks);
    this.hostCrashes = new HostCrashes(ports, engine);
    projects.ensureDefault();
  }

  /** Uses the ports, which stay the caller's to close. */
  public static Control open(Ports ports, ControlSettings settings) {
    return open(ports, settings, FaultPoints.fromEnvironment());
  }

  static Control open(Ports ports, ControlSettings settings, FaultPoints faults) {
    return new Control(ports, settings, faults);
  }

  /**
   * Defines the targets of all bound disks. Call it before the portal opens: a machine that finds
   * its target missing gives its drive up.
   *
   * <p>A disk whose target cannot be made is reported, and does not keep the other machines from
   * theirs. When all of them are damaged, the server is needed to release their nodes. Whoever used
   * a disk that may lack acknowledged writes since the host went down is locked out first.
   *
   * @throws ControlException when no target at all can be made, and not because of the disks: then
   *     machines that retry are better off than those that are told that there is no target; or
   *     when somebody could go on over writes that were lost
   */
  public void start() {
    hostCrashes.lockOut();
    List<Targets.Definition> definitions =
        ports
            .database()
            .read(rows ->
                rows.bindings().all().stream()
                    .filter(binding -> TargetSteps.isServed(rows, binding))
                    .map(binding -> TargetSteps.definition(rows, binding.disk()))
                    .toList());
    Map<UUID, Exception> failed = new LinkedHashMap<>();
    for (Targets.Definition definition : definitions) {
      try {
        ports.targets().define(definition);
      } catch (IOException | RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "no target for disk " + definition.disk(), e);
        failed.put(definition.disk(), e);
      }
    }
    if (failed.size() == definitions.size()) {
      failed.forEach((disk, e) -> {
        if (!Failures.isDamage(e) && isUsable(disk)) {
          throw Failures.of(e);
        }
      });
    }
    Instant now = ports.clock().instant();
    ports
        .database()
        .change(rows ->
            failed.forEach(
                (disk, e) -> TargetSteps.reportMissing(rows, now, disk, Failures.message(e))));
  }

  /** As far as the store knows. */
  private boolean isUsable(UUID disk) {
    try {
      return ports.volumes().usable(Set.of(disk)).contains(disk);
    } catch (IOException e) {
      LOG.log(System.Logger.Level.ERROR, "the store does not say whether it has " + disk, e);
      return true;
    }
  }

  /** Goes on with unfinished operations and starts the clockwork. */
  public void resume() {
    resumeOperations();
    // Ends with the executor; tickSafely sees to it that nothing is thrown.
    var _ =
        ticker.scheduleWithFixedDelay(
            this::tickSafely, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** As {@link #resume}; whoever calls it also calls {@link #tick}. */
  void resumeOperations() {
    engine.resume();
  }

  private void tickSafely() {
    try {
      tick();
    } catch (RuntimeException e) {
      LOG.log(
          System.Logger.Level.ERROR, "periodic work of the control plane failed; it goes on", e);
    }
  }

  /** Deadlines, retries, retention. */
  void tick() {
    engine.tick();
    failedVolumes.look();
    hostCrashes.powerCycle();
    Instant now = ports.clock().instant();
    if (!now.isBefore(spaceDue)) {
      spaceDue = now.plus(spaceWatch.look());
    }
    if (now.isBefore(housekeepingDue)) {
      return;
    }
    housekeepingDue = now.plus(HOUSEKEEPING);
    hostCrashes.housekeep();
    trashPurge.purgeBefore(now.minus(settings.trashRetention()));
    ports
        .database()
        .change(rows -> {
          rows.operations().deleteFinishedBefore(now.minus(settings.operationRetention()), 1_000);
          rows.events().trim(settings.eventsKept());
        });
  }

  public Projects projects() {
    return projects;
  }

  public Images images() {
    return images;
  }

  public Disks disks() {
    return disks;
  }

  public Snapshots snapshots() {
    return snapshots;
  }

  public Nodes nodes() {
    return nodes;
  }

  public Operations operations() {
    return operations;
  }

  public Events events() {
    return events;
  }

  /** What the rooms below report to. */
  public BootEvents bootEvents() {
    return timeline;
  }

  /** When a disk in the trash is purged. */
  public Optional<Instant> purgeAt(Disk disk) {
    return disk.trashedAt().map(at -> at.plus(settings.trashRetention()));
  }

  public Lineage lineage() {
    return lineage;
  }

  /**
   * How full the store is.
   *
   * @throws IOException when the store cannot say, or does not within {@link
   *     ControlSettings#storePatience}
   */
  public Space space() throws IOException {
    return new Space(spaceStore.ask(VolumeStore::capacity), counts().provisionedBytes());
  }

  /**
   * Of what is allocated, the part that lies in images and snapshots that at least one other volume
   * builds on; up to a minute old.
   *
   * @throws ControlException STORE_UNAVAILABLE
   */
  public long sharedBytes() {
    return sharedBytes.sum();
  }

  /**
   * How much there is whose content cannot be used; up to a minute old, or older while the store is
   * being looked through again.
   *
   * @throws ControlException STORE_UNAVAILABLE, IO_FAILED
   */
  public VolumesByKind damaged() {
    return damagedVolumes.count();
  }

  /** How many take no writes now because their storage failed, from memory. */
  public int failedVolumes() {
    return failedVolumes.count();
  }

  /** The same, by what they are. */
  public VolumesByKind failed() {
    return failedVolumes.countByKind();
  }

  /** How many there are over all projects. */
  public Rows.Counts counts() {
    return ports.database().read(Rows::counts);
  }

  /**
   * What should not be there: volumes and targets without a row, rows without a volume or a target.
   * Empty unless there is a defect or a volume is damaged; operations under way may show up.
   */
  public List<String> inconsistencies() throws IOException {
    Set<UUID> volumes = new HashSet<>();
    ports.volumes().list().forEach(volume -> volumes.add(volume.id()));
    Set<UUID> owned = new HashSet<>();
    Set<UUID> bound = new HashSet<>();
    ports
        .database()
        .read(rows -> {
          owned.addAll(rows.images().ids());
          owned.addAll(rows.disks().ids());
          owned.addAll(rows.snapshots().ids());
          rows.bindings().all().stream()
              .filter(binding -> binding.state() == Binding.State.DEFINED)
              .forEach(binding -> bound.add(binding.disk()));
          return true;
        });
    List<String> found = new ArrayList<>();
    volumes.stream()
        .filter(id -> !owned.contains(id))
        .forEach(id -> found.add("volume " + id + " belongs to nothing"));
    owned.stream()
        .filter(id -> !volumes.contains(id))
        .forEach(id -> found.add("volume " + id + " is missing"));
    Set<UUID> served = ports.targets().defined();
    served.stream()
        .filter(id -> !bound.contains(id))
        .forEach(id -> found.add("target of disk " + id + " belongs to nothing"));
    bound.stream()
        .filter(id -> !served.contains(id))
        .forEach(id -> found.add("target of disk " + id + " is missing"));
    return found;
  }

  /** Lets running steps end, for a bounded time; what is unfinished goes on at the next start. */
  @Override
  public void close() {
    ticker.shutdownNow();
    engine.close();
    try {
      if (!engine.awaitIdle(STOP_MILLIS)) {
        LOG.log(
            System.Logger.Level.WARNING,
            "a step did not end in time; its operation goes on at the next start");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    timeline.close();
  }

  /** For tests. */
  BootTimeline timeline() {
    return timeline;
  }
}
