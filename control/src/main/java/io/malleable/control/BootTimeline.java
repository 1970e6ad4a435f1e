package io.malleable.control;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Writes the stages of boots as they are seen. One thread of its own takes them from a bounded
 * queue, so that neither a login nor a read waits for the database; what does not fit is counted
 * and dropped.
 *
 * <p>A boot begins when we switch the machine on, or when it asks for its boot script although the
 * boot before had got further than that. DHCP seen shortly before such a script belongs to the new
 * boot; DHCP of a running operating system belongs to none.
 */
final class BootTimeline implements BootEvents, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(BootTimeline.class.getName());
  private static final int QUEUE_CAPACITY = 16_384;
  private static final int MAX_UNKNOWN = 256;
  private static final int MAX_DETAIL = 200;
  private static final long NETWORK_BEFORE_SCRIPT_SECONDS = 120;

  /**
   * iPXE forms its ISID from the enterprise number 10019 of Fen Systems (format 01b), RFC 7143
   * 11.12.5.
   */
  private static final long IPXE_ISID_PREFIX = 0x4000_2723L;

  private final Ports ports;
  private final Engine engine;
  private final int bootsKept;
  private final BlockingQueue<Seen> queue = new ArrayBlockingQueue<>(QUEUE_CAPACITY);
  private final AtomicLong dropped = new AtomicLong();
  private final Thread writer;
  private volatile boolean closing;

  /** Owned by the writer: network stages that may belong to a boot that is yet to begin. */
  private final Map<UUID, List<Boot.Stage>> early = new LinkedHashMap<>();

  /** Guarded by itself; the eldest goes first. */
  private final Map<MacAddress, UnknownMachine> unknown = new LinkedHashMap<>();

  private sealed interface Seen {
    record Network(Instant at, MacAddress mac, BootStage stage, String detail) implements Seen {}

    record Script(Instant at, MacAddress mac, String detail, String address) implements Seen {}

    record Login(Instant at, UUID disk, String initiator, long isid) implements Seen {}

    record Io(Instant at, UUID disk, BootStage stage) implements Seen {}

    record Ready(Instant at, UUID node) implements Seen {}

    record Barrier(CountDownLatch reached) implements Seen {}
  }

  BootTimeline(Ports ports, Engine engine, int bootsKept) {
    this.ports = ports;
    this.engine = engine;
    this.bootsKept = bootsKept;
    this.writer = Thread.ofPlatform().name("boot-timeline").daemon().start(this::write);
  }

  @Override
  public void onNetworkStage(MacAddress mac, BootStage stage, String detail) {
    if (!stage.isBeforeScript()) {
      throw new IllegalArgumentException(stage + " is not a stage of DHCP or TFTP");
    }
    offer(new Seen.Network(now(), mac, stage, shortened(detail)));
  }

  @Override
  public void onScript(MacAddress mac, String detail, String remoteAddress) {
    offer(new Seen.Script(now(), mac, shortened(detail), shortened(remoteAddress)));
  }

  @Override
  public void onLogin(UUID disk, String initiator, long isid) {
    offer(new Seen.Login(now(), disk, initiator, isid));
  }

  @Override
  public void onFirstRead(UUID disk) {
    offer(new Seen.Io(now(), disk, BootStage.FIRST_READ));
  }

  @Override
  public void onFirstWrite(UUID disk) {
    offer(new Seen.Io(now(), disk, BootStage.FIRST_WRITE));
  }

  @Override
  public boolean onPhoneHome(String token) {
    return ready(ports.database().read(rows -> rows.bindings().ofToken(token)));
  }

  @Override
  public boolean onPhoneHome(MacAddress mac) {
    return ready(
        ports
            .database()
            .read(
                rows -> rows.nodes().findByMac(mac).flatMap(n -> rows.bindings().ofNode(n.id()))));
  }

  private boolean ready(Optional<Binding> binding) {
    Optional<UUID> node = binding.flatMap(Binding::node);
    node.ifPresent(id -> offer(new Seen.Ready(now(), id)));
    return node.isPresent();
  }

  private Instant now() {
    return ports.clock().instant();
  }

  private void offer(Seen seen) {
    if (!queue.offer(seen) && dropped.incrementAndGet() == 1) {
      LOG.log(System.Logger.Level.WARNING, "the boot timeline cannot keep up; stages are missing");
    }
  }

  private void write() {
    while (!closing || !queue.isEmpty()) {
      try {
        Seen seen = queue.poll(100, TimeUnit.MILLISECONDS);
        if (seen != null) {
          write(seen);
        }
      } catch (InterruptedException e) {
        LOG.log(System.Logger.Level.DEBUG, "interrupted; the queue is written to its end", e);
        closing = true;
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "a stage of a boot could not be written", e);
      }
    }
  }

  private void write(Seen seen) {
    if (seen instanceof Seen.Barrier barrier) {
      barrier.reached().countDown();
      return;
    }
    Optional<UUID> node = ports.database().write(rows -> record(rows, seen));
    node.ifPresent(engine::news);
  }

  /** Returns the node whose timeline has changed. */
  private Optional<UUID> record(Rows rows, Seen seen) {
    if (seen instanceof Seen.Login login) {
      forgetLostWrites(rows, login.disk());
    }
    Optional<Node> found =
        switch (seen) {
          case Seen.Network s -> rows.nodes().findByMac(s.mac());
          case Seen.Script s -> rows.nodes().findByMac(s.mac());
          case Seen.Login s -> nodeOf(rows, s.disk());
          case Seen.Io s -> nodeOf(rows, s.disk());
          case Seen.Ready s -> rows.nodes().find(s.node());
          case Seen.Barrier _ -> Optional.empty();
        };
    if (found.isEmpty()) {
      if (seen instanceof Seen.Script script) {
        remember(
            new UnknownMachine(script.mac(), script.at(), Optional.of(script.address())), rows);
      } else if (seen instanceof Seen.Network network) {
        remember(new UnknownMachine(network.mac(), network.at(), Optional.empty()), rows);
      }
      return Optional.empty();
    }
    Node node = found.get();
    Optional<Boot> boot = rows.boots().latest(node.id());
    boolean changed =
        switch (seen) {
          case Seen.Network s -> network(rows, node, boot, s);
          case Seen.Script s -> script(rows, node, boot, s);
          case Seen.Login s -> login(rows, node, boot, s);
          case Seen.Io s -> add(rows, node, boot, s.stage(), s.at(), Optional.empty());
          case Seen.Ready s -> add(rows, node, boot, BootStage.READY, s.at(), Optional.empty());
          case Seen.Barrier _ -> false;
        };
    return changed ? Optional.of(node.id()) : Optional.empty();
  }

  /** Only who got the new secret can have logged in: it knows the disk as it is now. */
  private static void forgetLostWrites(Rows rows, UUID disk) {
    rows.bindings()
        .ofDisk(disk)
        .filter(binding -> binding.lostWrites().isPresent())
        .ifPresent(binding -> rows.bindings().update(binding.with(Optional.empty())));
  }

  private static Optional<Node> nodeOf(Rows rows, UUID disk) {
    return rows.bindings().ofDisk(disk).flatMap(Binding::node).flatMap(id -> rows.nodes().find(id));
  }

  private boolean network(Rows rows, Node node, Optional<Boot> boot, Seen.Network seen) {
    if (boot.isPresent() && !boot.get().reached(BootStage.BOOT_SCRIPT)) {
      return add(rows, node, boot, seen.stage(), seen.at(), Optional.of(seen.detail()));
    }
    List<Boot.Stage> stages = early.computeIfAbsent(node.id(), _ -> new ArrayList<>());
    stages.removeIf(s -> s.stage() == seen.stage());
    stages.add(new Boot.Stage(seen.stage(), seen.at(), Optional.of(seen.detail()), 0, 0));
    if (early.size() > MAX_UNKNOWN * 64) {
      early.remove(early.keySet().iterator().next());
    }
    return false;
  }

  private boolean script(Rows rows, Node node, Optional<Boot> boot, Seen.Script seen) {
    boolean further =
        boot.isPresent()
            && boot.get().stages().stream()
                .anyMatch(s -> s.stage().compareTo(BootStage.BOOT_SCRIPT) > 0);
    boolean otherDisk = boot.isPresent() && !boot.get().disk().equals(node.disk().map(Ref::id));
    Boot.Stage script =
        new Boot.Stage(BootStage.BOOT_SCRIPT, seen.at(), Optional.of(seen.detail()), 0, 0);
    if (boot.isPresent() && !further && !otherDisk) {
      // Asked again before it got any further, such as a loop of retries: still the same boot.
      return add(rows, node, boot, BootStage.BOOT_SCRIPT, seen.at(), script.detail());
    }
    List<Boot.Stage> stages = new ArrayList<>();
    List<Boot.Stage> before = early.remove(node.id());
    if (before != null) {
      Instant oldest = seen.at().minusSeconds(NETWORK_BEFORE_SCRIPT_SECONDS);
      before.stream()
          .filter(s -> s.at().isAfter(oldest))
          .sorted(Comparator.comparing(Boot.Stage::at))
          .forEach(stages::add);
    }
    stages.add(script);
    begin(ports, rows, node.id(), stages.getFirst().at(), stages);
    stages.forEach(s -> announce(rows, node, s.stage(), s.at()));
    rows.boots().trim(node.id(), bootsKept);
    return true;
  }

  private boolean login(Rows rows, Node node, Optional<Boot> boot, Seen.Login seen) {
    boolean ipxe = seen.isid() >>> 16 == IPXE_ISID_PREFIX;
    String isid = "isid " + String.format("%012x", seen.isid());
    Optional<Boot.Stage> firmware = boot.flatMap(b -> b.stage(BootStage.FIRMWARE_LOGIN));
    boolean again = firmware.flatMap(Boot.Stage::detail).equals(Optional.of(isid));
    if (ipxe || firmware.isEmpty() || again) {
      return add(rows, node, boot, BootStage.FIRMWARE_LOGIN, seen.at(), Optional.of(isid));
    }
    return add(rows, node, boot, BootStage.OS_LOGIN, seen.at(), Optional.of(isid));
  }

  /** Adds a stage to the latest boot, once. Returns whether that is news. */
  private boolean add(
      Rows rows,
      Node node,
      Optional<Boot> boot,
      BootStage stage,
      Instant at,
      Optional<String> detail) {
    Optional<Boot> current = boot.filter(b -> b.disk().equals(node.disk().map(Ref::id)));
    if (current.isEmpty() && stage.isBeforeScript()) {
      current = boot;
    }
    if (current.isEmpty() || current.get().reached(stage)) {
      return false;
    }
    Boot.Traffic traffic =
        current
            .get()
            .since(node.disk().map(d -> ports.targets().use(d.id())).orElse(Targets.Use.NONE));
    rows.boots()
        .addStage(
            node.id(),
            current.get().number(),
            new Boot.Stage(stage, at, detail, traffic.readBytes(), traffic.writtenBytes()));
    announce(rows, node, stage, at);
    return true;
  }

  private static void announce(Rows rows, Node node, BootStage stage, Instant at) {
    rows.events()
        .append(
            at,
            Optional.of(node.projectId()),
            "boot." + stage.word(),
            Optional.of(node.ref()),
            node.name() + " reached " + stage.word());
  }

  static Boot.Stage stage(BootStage stage, Instant at) {
    return new Boot.Stage(stage, at, Optional.empty(), 0, 0);
  }

  /** Starts the next boot of a node. */
  static void begin(Ports ports, Rows rows, UUID node, Instant at, List<Boot.Stage> stages) {
    long number = rows.boots().latest(node).map(Boot::number).orElse(0L) + 1;
    Optional<UUID> disk = rows.bindings().ofNode(node).map(Binding::disk);
    Boot.Traffic before =
        disk.map(ports.targets()::use).map(Boot.Traffic::of).orElse(Boot.Traffic.NONE);
    rows.boots().insert(new Boot(node, number, at, disk, before, stages));
  }

  private void remember(UnknownMachine machine, Rows rows) {
    synchronized (unknown) {
      UnknownMachine before = unknown.remove(machine.mac());
      if (before == null) {
        rows.events()
            .append(
                machine.seenAt(),
                Optional.empty(),
                "machine.unknown",
                Optional.empty(),
                "The unknown machine " + machine.mac() + " asked for a boot.");
      }
      unknown.put(
          machine.mac(),
          before != null && machine.address().isEmpty()
              ? new UnknownMachine(machine.mac(), machine.seenAt(), before.address())
              : machine);
      if (unknown.size() > MAX_UNKNOWN) {
        unknown.remove(unknown.keySet().iterator().next());
      }
    }
  }

  void forgetUnknown(MacAddress mac) {
    synchronized (unknown) {
      unknown.remove(mac);
    }
  }

  List<UnknownMachine> unknownMachines() {
    synchronized (unknown) {
      return new ArrayList<>(unknown.values()).reversed();
    }
  }

  /** Waits until what was seen so far is written. */
  void drain() throws InterruptedException {
    CountDownLatch reached = new CountDownLatch(1);
    queue.put(new Seen.Barrier(reached));
    if (!reached.await(30, TimeUnit.SECONDS)) {
      throw new IllegalStateException("the boot timeline does not write");
    }
  }

  private static String shortened(String detail) {
    return detail.length() <= MAX_DETAIL ? detail : detail.substring(0, MAX_DETAIL);
  }

  /** Writes what is queued and ends. */
  @Override
  public void close() {
    closing = true;
    try {
      writer.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
