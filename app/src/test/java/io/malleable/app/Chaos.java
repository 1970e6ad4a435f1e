package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;

/**
 * A server process, a few disks in use, and what users and accidents do to them in any order. Each
 * disk has a model that knows what was acknowledged; nothing of it may be missing after the server
 * was killed, flushed or not. A call that is cut off by a kill was made or was not made.
 */
final class Chaos implements AutoCloseable {
  private static final int SECTORS = 16_384;
  private static final int MAX_DISKS = 3;
  private static final int MAX_FROZEN = 12;
  private static final int MAX_CHANGES_BETWEEN = 400;
  private static final int CUT_OFF_PERCENT = 12;
  private static final int HISTORY = 60;
  private static final Duration SETTLE_LIMIT = Duration.ofMinutes(2);
  private static final Set<String> UNSETTLED = Set.of("queued", "running", "aborting");

  private final Random random;
  private final long startedNanos = System.nanoTime();
  private final Deque<String> history = new ArrayDeque<>();
  private final LastingServer server;
  private final Map<String, DiskLoad> disks = new LinkedHashMap<>();
  private final Map<String, FrozenContent> images = new LinkedHashMap<>();
  private final Map<String, FrozenContent> snapshots = new LinkedHashMap<>();
  private int names;
  private int kills;
  private boolean restarted;

  /** A call of the API; false when the server refuses it for a reason that it names. */
  private interface Call {
    boolean make() throws IOException, InterruptedException;
  }

  /** What becomes of a call. */
  private enum Fate {
    DONE,
    REFUSED,
    CUT_OFF
  }

  private Chaos(LastingServer server, long seed) {
    this.server = server;
    this.random = new Random(seed);
  }

  /** A server with one image, and no disks yet. */
  static Chaos start(Path directory, long seed) throws Exception {
    LastingServer server = LastingServer.start(directory.resolve("data"), "--trash-retention", "0");
    Chaos chaos = new Chaos(server, seed);
    try {
      byte[] image = DiskModel.image(0, SECTORS);
      server.importImage("base", directory.resolve("base.raw"), image);
      DiskModel model = DiskModel.of(0, image);
      chaos.images.put("base", new FrozenContent("", model, model.state(), model.state()));
      return chaos;
    } catch (Exception | Error e) {
      chaos.close();
      throw e;
    }
  }

  /** Goes on for so long, and then looks at everything once more. */
  void run(Duration time) throws Exception {
    try {
      while (System.nanoTime() - startedNanos < time.toNanos()) {
        step();
      }
      atTheEnd();
    } catch (AssertionError | Exception e) {
      String told = String.join("\n", history);
      throw new AssertionError(
          "%s%nits history:%n%s%nthe server said:%n%s"
              .formatted(e.getMessage(), told, server.logTail()),
          e);
    }
  }

  /** How often the server's process died. */
  int kills() {
    return kills;
  }

  private void step() throws Exception {
    for (Map.Entry<String, DiskLoad> disk : disks.entrySet()) {
      if (!disk.getValue().isRunning()) {
        disk.getValue().end();
        throw new AssertionError("nobody writes to " + disk.getKey() + " any more");
      }
    }
    int choice = random.nextInt(100);
    if (disks.isEmpty() || (choice < 12 && disks.size() < MAX_DISKS)) {
      create();
    } else if (choice < 45) {
      snapshot(any(disks));
    } else if (choice < 60 && !snapshots.isEmpty()) {
      delete(snapshots, "snapshot", any(snapshots));
    } else if (choice < 68) {
      rollback(any(disks));
    } else if (choice < 74) {
      String disk = any(disks);
      attempt("flatten " + disk, () -> done(post("disks/" + disk + "/flatten", "")));
    } else if (choice < 80 && !snapshots.isEmpty()) {
      promote(any(snapshots));
    } else if (choice < 84 && images.size() > 1) {
      delete(images, "image", any(images));
    } else if (choice < 88 && disks.size() > 1) {
      deleteDisk(any(disks));
    } else if (choice < 93) {
      die("kill -9", server::kill);
    } else if (choice < 96) {
      die("SIGTERM", () -> expectEqual(0, server.stop(), "exit status"));
    }
    if (restarted) {
      resume();
    }
    pause();
  }

  private void create() throws Exception {
    boolean ofImage = snapshots.isEmpty() || random.nextInt(3) == 0;
    String source = ofImage ? any(images) : any(snapshots);
    FrozenContent frozen = the(ofImage ? images : snapshots, source);
    String name = name("d");
    String body = "{'name':'%s','%s':'%s'}".formatted(name, ofImage ? "image" : "snapshot", source);
    Fate fate = attempt("new disk " + name + " of " + source, () -> done(post("disks", body)));
    if (fate == Fate.CUT_OFF && !exists("disks", name)) {
      return;
    }
    DiskLoad load = new DiskLoad(new DiskModel(names, SECTORS), random.nextLong());
    load.logIn(reach(name));
    byte[] content = load.readAll();
    frozen.check(content, "clone " + name + " of " + source);
    load.model().settle(content);
    disks.put(name, load);
    begin(load);
  }

  private void snapshot(String disk) throws Exception {
    if (snapshots.size() >= MAX_FROZEN) {
      return;
    }
    String name = name("s");
    DiskModel model = the(disks, disk).model();
    DiskModel.State before = model.state();
    String body = "{'name':'%s','disk':'%s'}".formatted(name, disk);
    Fate fate = attempt("snapshot " + name + " of " + disk, () -> done(post("snapshots", body)));
    if (fate == Fate.DONE || exists("snapshots", name)) {
      snapshots.put(name, new FrozenContent(disk, model, before, model.state()));
    }
  }

  private void promote(String snapshot) throws Exception {
    if (images.size() >= MAX_FROZEN) {
      return;
    }
    String name = name("i");
    Fate fate =
        attempt(
            "promote " + snapshot + " to " + name,
            () -> done(post("snapshots/" + snapshot + "/promote", "{'name':'" + name + "'}")));
    if (fate == Fate.DONE || exists("images", name)) {
      images.put(name, the(snapshots, snapshot));
    }
  }

  private void rollback(String disk) throws Exception {
    List<String> own =
        snapshots.keySet().stream().filter(s -> the(snapshots, s).isOf(disk)).toList();
    if (own.isEmpty()) {
      return;
    }
    String snapshot = own.get(random.nextInt(own.size()));
    DiskLoad load = the(disks, disk);
    withdraw(disk, load);
    Fate fate =
        attempt(
            "roll " + disk + " back to " + snapshot,
            () -> done(post("disks/" + disk + "/rollback", "{'snapshot':'" + snapshot + "'}")));
    load.logIn(reach(disk));
    byte[] content = load.readAll();
    DiskModel.State now = load.model().state();
    if (fate == Fate.DONE || load.model().fault(0, content, now, now).isPresent()) {
      the(snapshots, snapshot).check(content, disk + " rolled back to " + snapshot);
    }
    load.model().settle(content);
    begin(load);
  }

  private void deleteDisk(String disk) throws Exception {
    DiskLoad load = the(disks, disk);
    load.end();
    load.verify(disk + " before it is deleted");
    withdraw(disk, load);
    Fate fate =
        attempt(
            "delete " + disk, () -> done(server.api().delete("/v1/disks/" + disk + "?purge=true")));
    if (fate == Fate.DONE || (fate == Fate.CUT_OFF && !exists("disks", disk))) {
      disks.remove(disk);
      // A snapshot outlives its disk, unless the server says that it does not.
      snapshots.keySet().removeIf(s -> the(snapshots, s).isOf(disk) && !existsNow(s));
      return;
    }
    load.logIn(reach(disk));
    load.verify(disk + ", which is kept");
    begin(load);
  }

  private void delete(Map<String, FrozenContent> from, String kind, String name) throws Exception {
    String path = "/v1/" + kind + "s/" + name;
    Fate fate = attempt("delete " + kind + " " + name, () -> done(server.api().delete(path)));
    if (fate == Fate.DONE || (fate == Fate.CUT_OFF && !exists(kind + "s", name))) {
      from.remove(name);
    }
  }

  private void withdraw(String disk, DiskLoad load) throws Exception {
    load.end();
    load.logOut();
    server.api().post("/v1/disks/" + disk + "/withdraw", "").expect(200);
  }

  /** Makes a call; sometimes the server is killed meanwhile and started again. */
  private Fate attempt(String what, Call call) throws Exception {
    note(what);
    if (random.nextInt(100) >= CUT_OFF_PERCENT) {
      Fate fate = call.make() ? Fate.DONE : Fate.REFUSED;
      if (fate == Fate.REFUSED) {
        note("refused");
      }
      return fate;
    }
    FutureTask<Boolean> task = new FutureTask<>(call::make);
    Thread.startVirtualThread(task);
    LockSupport.parkNanos(random.nextLong(TimeUnit.MILLISECONDS.toNanos(40)));
    server.kill();
    Fate fate;
    try {
      fate = task.get() ? Fate.DONE : Fate.REFUSED;
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof IOException)) {
        throw e;
      }
      fate = Fate.CUT_OFF;
    }
    note("kill -9 meanwhile: " + fate);
    startAgain();
    return fate;
  }

  /** How the server's process ends. */
  private interface Death {
    void come() throws InterruptedException;
  }

  private void die(String how, Death death) throws Exception {
    note(how);
    death.come();
    startAgain();
  }

  private void startAgain() throws Exception {
    kills++;
    restarted = true;
    for (DiskLoad load : disks.values()) {
      load.awaitLoss();
    }
    server.startAgain();
    Patience patience = new Patience(SETTLE_LIMIT);
    while (anyOperation(state -> UNSETTLED.contains(state))) {
      if (!patience.waitOn()) {
        throw new AssertionError("an operation does not end after the server started again");
      }
    }
  }

  private boolean anyOperation(Predicate<String> state) throws Exception {
    JsonNode items = server.api().get("/v1/operations").expect(200).body().path("items");
    for (JsonNode operation : items) {
      if (state.test(operation.path("state").asText())) {
        return true;
      }
    }
    return false;
  }

  /** The machines log in again and look at once. */
  private void resume() throws Exception {
    restarted = false;
    for (String name : List.of("disks", "snapshots", "images")) {
      List<String> there = server.api().names("/v1/" + name, 100);
      Map<String, ?> known =
          name.equals("disks") ? disks : name.equals("images") ? images : snapshots;
      for (String one : known.keySet()) {
        expectEqual(true, there.contains(one), one + " is still there");
      }
    }
    for (Map.Entry<String, DiskLoad> disk : disks.entrySet()) {
      DiskLoad load = disk.getValue();
      if (!load.isRunning()) {
        load.logIn(reach(disk.getKey()));
        load.verify(disk.getKey() + " after the server's death");
        begin(load);
      }
    }
  }

  private void begin(DiskLoad load) {
    int depth = 1 << random.nextInt(5);
    load.begin(new DiskLoad.Mix(depth, random.nextInt(3)));
  }

  private void pause() throws InterruptedException {
    if (!disks.isEmpty()) {
      the(disks, any(disks)).awaitAcknowledged(1 + random.nextInt(MAX_CHANGES_BETWEEN));
    }
  }

  private void atTheEnd() throws Exception {
    note("end");
    for (Map.Entry<String, DiskLoad> disk : disks.entrySet()) {
      disk.getValue().end();
      disk.getValue().verify(disk.getKey() + " at the end");
      disk.getValue().logOut();
    }
    for (Map.Entry<String, FrozenContent> one : snapshots.entrySet()) {
      compare("snapshot", one.getKey(), one.getValue());
    }
    for (Map.Entry<String, FrozenContent> one : images.entrySet()) {
      compare("image", one.getKey(), one.getValue());
    }
    expectEqual(0, server.stop(), "exit status");
  }

  private void compare(String kind, String name, FrozenContent frozen) throws Exception {
    String clone = name("c");
    String body = "{'name':'%s','%s':'%s'}".formatted(clone, kind, name);
    expectEqual(true, done(post("disks", body)), "clone of " + name);
    DiskLoad reader = new DiskLoad(new DiskModel(names, SECTORS), 0);
    reader.logIn(reach(clone));
    frozen.check(reader.readAll(), kind + " " + name + " at the end");
    reader.logOut();
  }

  /** How a disk is reached, which is exposed now if it was not. */
  private JsonNode reach(String disk) throws IOException, InterruptedException {
    JsonNode iscsi = server.iscsi(disk);
    return iscsi.hasNonNull("url") ? iscsi : server.expose(disk);
  }

  private TestApi.Reply post(String path, String body) throws IOException, InterruptedException {
    return server.api().post("/v1/" + path, body);
  }

  /** Waits for the end of what a call began; false when it is refused. */
  private boolean done(TestApi.Reply reply) throws IOException, InterruptedException {
    if (reply.status() == 409) {
      return false;
    }
    if (reply.status() == 202) {
      server.api().succeeded(reply);
      return true;
    }
    expectEqual(2, reply.status() / 100, "class of the status: " + reply.body());
    return true;
  }

  private boolean exists(String list, String name) throws IOException, InterruptedException {
    return server.api().get("/v1/" + list + "/" + name).status() == 200;
  }

  private boolean existsNow(String snapshot) {
    try {
      return exists("snapshots", snapshot);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  private static void expectEqual(Object wanted, Object found, String what) {
    if (!wanted.equals(found)) {
      throw new AssertionError(what + ": " + found + " and not " + wanted);
    }
  }

  private static <T> T the(Map<String, T> named, String name) {
    return Objects.requireNonNull(named.get(name), name);
  }

  private String any(Map<String, ?> named) {
    return List.copyOf(named.keySet()).get(random.nextInt(named.size()));
  }

  private String name(String kind) {
    names++;
    return kind + names;
  }

  private void note(String what) {
    double seconds = (System.nanoTime() - startedNanos) / 1e9;
    history.addLast(String.format(Locale.ROOT, "%8.2f %s", seconds, what));
    if (history.size() > HISTORY) {
      history.removeFirst();
    }
  }

  @Override
  public void close() throws IOException {
    for (DiskLoad load : new ArrayList<>(disks.values())) {
      load.logOut();
    }
    server.close();
  }
}
