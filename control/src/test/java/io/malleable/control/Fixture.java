package io.malleable.control;

import io.malleable.control.FaultPoints.Moment;
import io.malleable.control.db.CountedStatements;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeFault;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A control plane on a real database and a real volume store, with fake machines and targets. */
final class Fixture implements AutoCloseable {
  static final long ISID_IPXE = 0x4000_2723_0102L;
  static final long ISID_LINUX = 0x0002_3d00_0001L;
  static final long PATIENCE_MILLIS = 60_000;

  final Path directory;
  final TestClock clock = new TestClock();
  final FakePower power = new FakePower();
  volatile FaultPoints faults = (_, _, _) -> {};
  volatile @Nullable Copying copying;

  /** What a store that is out of reach answers, while it is. */
  volatile @Nullable VolumeException outage;

  /** What the store says of volumes whose storage failed. */
  volatile Map<UUID, VolumeFault> volumeFaults = Map.of();

  /** How many the database has executed. */
  final AtomicInteger statements = new AtomicInteger();

  /** Disks that the store names as lacking acknowledged writes; it keeps them over restarts. */
  final Set<UUID> lostWrites = ConcurrentHashMap.newKeySet();

  /** Disks that the store cannot forget. */
  final Set<UUID> unforgettable = ConcurrentHashMap.newKeySet();

  /** Ends the process before the store forgets. */
  volatile boolean endsBeforeForgetting;

  CountingDatabase database;
  LocalVolumeStore volumes;
  FakeTargets targets;
  FakeImports imports;
  Control control;

  Fixture(Path directory) throws IOException {
    this.directory = directory;
    Files.createDirectories(directory.resolve("volumes"));
    EmptyDatabase.copyTo(directory.resolve("control.db"));
    database = openDatabase();
    volumes = LocalVolumeStore.open(directory.resolve("volumes"));
    targets = new FakeTargets(volumes);
    imports = new FakeImports(volumes);
    control = openControl();
    control.start();
    control.resumeOperations();
  }

  private CountingDatabase openDatabase() {
    return new CountingDatabase(
        CountedStatements.open(directory.resolve("control.db"), statements::incrementAndGet));
  }

  private Control openControl() {
    return Control.open(
        ports(watched(volumes)),
        ControlSettings.defaults().withStorePatience(Duration.ofMillis(PATIENCE_MILLIS)),
        (kind, step, moment) -> faults.reach(kind, step, moment));
  }

  /** With another store. */
  Ports ports(VolumeStore store) {
    return new Ports(database, store, targets, power, imports, clock);
  }

  /** The store, but for an outage, and for copying, which a test may do in its place. */
  private VolumeStore watched(VolumeStore store) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, arguments) -> {
              Copying instead = copying;
              if (method.getName().equals("flatten") && instead != null) {
                instead.copy((TransferProgress) arguments[1]);
                return null;
              }
              if (method.getName().equals("faults")) {
                return volumeFaults;
              }
              VolumeException silent = outage;
              if (silent != null) {
                throw silent;
              }
              if (method.getName().equals("lostWrites")) {
                return Set.copyOf(lostWrites);
              }
              if (method.getName().equals("forgetLostWrites")) {
                return forgetLostWrites((UUID) arguments[0]);
              }
              try {
                return method.invoke(store, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private @Nullable Object forgetLostWrites(UUID disk) throws IOException {
    if (endsBeforeForgetting) {
      endsBeforeForgetting = false;
      throw new Engine.Abandoned();
    }
    if (unforgettable.contains(disk)) {
      throw new IOException("the mark of " + disk + " cannot be taken away");
    }
    lostWrites.remove(disk);
    return null;
  }

  /** What a test does while a volume should be flattened. */
  interface Copying {
    void copy(TransferProgress progress) throws IOException;
  }

  /** Everything in memory is lost; machines go on. Nothing is started yet. */
  void crash() throws IOException {
    crashFor(Duration.ZERO);
  }

  /** The same, and nobody serves for so long. */
  private void crashFor(Duration away) throws IOException {
    faults = (_, _, _) -> {};
    control.close();
    database.close();
    volumes.close();
    database = openDatabase();
    volumes = LocalVolumeStore.open(directory.resolve("volumes"));
    targets = new FakeTargets(volumes);
    imports = new FakeImports(volumes);
    clock.advance(away);
    control = openControl();
  }

  void restart() throws IOException {
    restartAfter(Duration.ZERO);
  }

  void restartAfter(Duration away) throws IOException {
    crashFor(away);
    control.start();
    control.resumeOperations();
  }

  /** As {@link FaultPoints#fromEnvironment}, but only the thread ends. */
  static FaultPoints endingAt(String point) {
    return (kind, step, moment) -> {
      if (point.equals(FaultPoints.name(kind, step, moment))) {
        throw new Engine.Abandoned();
      }
    };
  }

  /**
   * The server ends at this point, as {@link #endingAt}.
   *
   * @return is open from then on
   */
  CountDownLatch endAt(String point) {
    CountDownLatch reached = new CountDownLatch(1);
    FaultPoints ending = endingAt(point);
    faults =
        (kind, step, moment) -> {
          try {
            ending.reach(kind, step, moment);
          } catch (Engine.Abandoned e) {
            reached.countDown();
            throw e;
          }
        };
    return reached;
  }

  static String name(OperationKind kind, String step, Moment moment) {
    return FaultPoints.name(kind, step, moment);
  }

  UUID project() {
    return control.projects().get(Project.DEFAULT).id();
  }

  Image image(String name) throws InterruptedException {
    succeeded(
        control
            .images()
            .importImage(
                project(),
                name,
                new ImageSource.LocalFile(Path.of("/images/" + name)),
                ImageExpectation.ofFormat("raw"),
                Image.Visibility.PRIVATE));
    return control.images().get(project(), name);
  }

  Disk disk(String name, String image) throws InterruptedException {
    succeeded(
        control.disks().create(project(), name, new DiskOrigin.OfImage(image), Optional.empty()));
    return control.disks().get(project(), name);
  }

  Snapshot snapshot(String name, String disk) throws InterruptedException {
    succeeded(control.snapshots().create(project(), name, disk));
    return control.snapshots().get(project(), name);
  }

  /** A node with a power driver. */
  Node node(String name, int number) {
    return control.nodes().add(project(), spec(name, number, Optional.of("fake:" + name)));
  }

  /** A node that somebody switches by hand. */
  Node manualNode(String name, int number) {
    return control.nodes().add(project(), spec(name, number, Optional.empty()));
  }

  static NodeSpec spec(String name, int number, Optional<String> bmc) {
    return new NodeSpec(
        name,
        List.of(mac(number)),
        Firmware.BIOS,
        "x86_64",
        bmc,
        Optional.empty(),
        List.of(),
        AfterHostCrash.REBOOT);
  }

  static MacAddress mac(int number) {
    return new MacAddress(String.format("52:54:00:00:00:%02x", number));
  }

  Operation end(Operation operation) throws InterruptedException {
    Operation ended =
        control
            .operations()
            .awaitEnd(operation.projectId(), operation.id().toString(), PATIENCE_MILLIS);
    if (!ended.state().isFinal()) {
      throw new AssertionError("did not end: " + ended);
    }
    return ended;
  }

  Operation succeeded(Operation operation) throws InterruptedException {
    Operation ended = end(operation);
    if (ended.state() != OperationState.SUCCEEDED) {
      throw new AssertionError("did not succeed: " + ended);
    }
    return ended;
  }

  /** Waits until the operation is in this state. */
  Operation reached(Operation operation, OperationState state) throws InterruptedException {
    Operation now = operation;
    while (now.state() != state) {
      if (now.state().isFinal()) {
        throw new AssertionError("ended instead of " + state + ": " + now);
      }
      Operation next =
          control
              .operations()
              .await(now.projectId(), now.id().toString(), now.revision(), PATIENCE_MILLIS);
      if (next.revision() == now.revision()) {
        throw new AssertionError("nothing happened: " + now);
      }
      now = next;
    }
    return now;
  }

  /** The machine asks for its script and boots into its system, as far as the server sees. */
  void boots(Node node) throws InterruptedException {
    BootEvents events = control.bootEvents();
    events.onScript(node.nics().getFirst(), "bios", "192.0.2.7");
    Node now = control.nodes().get(node.projectId(), node.id().toString());
    UUID disk = now.disk().orElseThrow().id();
    clock.advance(Duration.ofSeconds(5));
    events.onLogin(disk, now.initiatorName(), ISID_IPXE);
    events.onFirstRead(disk);
    clock.advance(Duration.ofSeconds(5));
    events.onLogin(disk, now.initiatorName(), ISID_LINUX);
    control.timeline().drain();
  }

  /** A node that runs from a clone of the image. */
  Node provisioned(String name, int number, String image) throws InterruptedException {
    Node node = node(name, number);
    Operation operation =
        control.nodes().provision(project(), name, new BootDrive.OfImage(image), List.of());
    reached(operation, OperationState.WAITING);
    boots(node);
    succeeded(operation);
    return control.nodes().get(project(), name);
  }

  @Override
  public void close() throws IOException {
    control.close();
    database.close();
    volumes.close();
  }

  /** Fills the volume's first sector, durably. */
  void write(UUID volume, byte value) throws IOException {
    try (Volume open = volumes.open(volume)) {
      ByteBuffer sector = ByteBuffer.allocateDirect(512);
      while (sector.hasRemaining()) {
        sector.put(value);
      }
      open.write(0, sector.flip());
      open.flush();
    }
  }

  /** A byte of the volume's first sector. */
  byte read(UUID volume) throws IOException {
    try (Volume open = volumes.open(volume)) {
      ByteBuffer sector = ByteBuffer.allocateDirect(512);
      open.read(0, sector);
      return sector.get(100);
    }
  }
}
