package io.malleable.iscsi;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * An iSCSI target server (RFC 7143) for block devices (SPC-4, SBC-3).
 *
 * <p>Define targets first, then {@link #open} the portals: an initiator that finds no target where
 * it had one gives its drive up. Every method may be called from any thread.
 */
public final class IscsiServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(IscsiServer.class.getName());
  private static final long TICK_MILLIS = 250;

  /**
   * Address space, not memory: pages are touched as the stack grows, and ours stays below a tenth.
   */
  private static final int STACK_BYTES = 512 * 1024;

  private static final int MAX_SENDERS = 4;
  private static final long REINSTATEMENT_WAIT_MILLIS = 10_000;

  private final IscsiServerConfig config;
  private final ReservationStore reservationStore;
  private final Events events;
  private final TargetRegistry registry = new TargetRegistry();
  private final Refusals refusals = new Refusals();
  private final BufferPool pool;
  private final Semaphore pollPermits =
      BusyPoll.permits(Runtime.getRuntime().availableProcessors());
  private final SortedSet<Integer> portGroups;
  private final Set<Connection> connections = ConcurrentHashMap.newKeySet();
  private final List<Acceptor> acceptors = new ArrayList<>();
  private final ThreadPoolExecutor senders;
  private final Thread timer;
  private volatile boolean closed;

  public IscsiServer(
      IscsiServerConfig config, ReservationStore reservationStore, TargetListener listener) {
    this.config = config;
    this.reservationStore = reservationStore;
    this.events = new Events(listener);
    this.pool = new BufferPool(config.maxBufferBytes(), config.stallTimeout().toMillis());
    SortedSet<Integer> groups = new TreeSet<>();
    config.portals().forEach(portal -> groups.add(portal.groupTag()));
    this.portGroups = Collections.unmodifiableSortedSet(groups);
    this.senders =
        new ThreadPoolExecutor(
            MAX_SENDERS,
            MAX_SENDERS,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(100_000),
            Thread.ofPlatform().daemon().name("iscsi-sender-", 0).factory());
    this.senders.allowCoreThreadTimeOut(true);
    this.timer = Thread.ofVirtual().name("iscsi-timer").unstarted(this::tick);
  }

  /**
   * Makes a target known.
   *
   * @throws IllegalArgumentException a target of that name exists, or is still being withdrawn
   * @throws IOException the saved reservations of a unit cannot be read
   */
  public void define(TargetDefinition definition) throws IOException {
    Target target = new Target(definition, portGroups, reservationStore, config);
    if (!registry.add(target)) {
      throw new IllegalArgumentException(
          "target " + definition.name() + " exists already; withdraw it first");
    }
  }

  /**
   * Cuts every session of a target off and forgets it. When this returns, none of its I/O is in
   * flight: what happens to its units afterwards cannot meet a late write. A target that is not
   * there is not an error.
   *
   * @throws TimeoutException I/O is still in flight in the store; the target takes no new session,
   *     keeps its name, and the call may be repeated
   */
  public void withdraw(String name, Duration limit) throws TimeoutException, InterruptedException {
    Target target = registry.find(name);
    if (target == null) {
      return;
    }
    long deadline = System.nanoTime() + limit.toNanos();
    List<Session> leaving = target.leave();
    SessionEnd cause = new SessionEnd(SessionEnd.Cause.WITHDRAWN, "target withdrawn");
    leaving.forEach(session -> session.connection().cut(cause));
    for (Session session : leaving) {
      if (!session.connection().awaitEnd(deadline - System.nanoTime())) {
        throw new TimeoutException(
            "I/O of "
                + session.nexus().initiatorName()
                + " on "
                + name
                + " did not end within "
                + limit);
      }
    }
    for (DeviceServer device : target.devices()) {
      if (!device.withdraw(TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()))) {
        throw new TimeoutException("a flush of " + name + " did not end within " + limit);
      }
    }
    registry.remove(target);
  }

  /** Adds a unit to a target in use; its initiators learn of it by a unit attention. */
  public void addLun(String targetName, int lun, LogicalUnit unit) throws IOException {
    TargetDefinition checked = new TargetDefinition(targetName, Map.of(lun, unit), Access.open());
    require(checked.name()).addLun(lun, unit);
  }

  /** Takes a unit away; when this returns, no I/O of it is in flight. */
  public void removeLun(String targetName, int lun, Duration limit) throws TimeoutException {
    DeviceServer device = require(targetName).removeLun(lun);
    if (!device.withdraw(limit.toMillis())) {
      throw new TimeoutException(
          "I/O on LUN " + lun + " of " + targetName + " did not end within " + limit);
    }
  }

  /** The persistent reservations of a unit; empty when there is no such unit. */
  public Optional<ReservationReport> reservations(String targetName, int lun) {
    return device(targetName, lun).map(d -> ReservationReport.of(d.reservations().state()));
  }

  /**
   * Ends the persistent reservations of a unit, whoever holds them; registrants are told by unit
   * attention. A unit that is not there has none.
   *
   * @throws IOException that could not be saved; nothing has changed
   */
  public void clearReservations(String targetName, int lun) throws IOException {
    Optional<DeviceServer> device = device(targetName, lun);
    if (device.isPresent()) {
      device.get().reservations().clearForAll();
    }
  }

  /** The units that refuse writes for lack of space now. */
  public List<SpaceRefusal> spaceRefusals() {
    List<SpaceRefusal> refusals = new ArrayList<>();
    registry.targets().forEach(target -> addSpaceRefusals(target, refusals));
    return refusals;
  }

  /** Those of one target, which may be none of ours. */
  public List<SpaceRefusal> spaceRefusals(String targetName) {
    List<SpaceRefusal> refusals = new ArrayList<>();
    Target target = registry.find(targetName);
    if (target != null) {
      addSpaceRefusals(target, refusals);
    }
    return refusals;
  }

  private static void addSpaceRefusals(Target target, List<SpaceRefusal> refusals) {
    for (DeviceServer device : target.devices()) {
      UUID unit = device.logicalUnit().identity().id();
      device.fullStore().refusal(target.name(), unit).ifPresent(refusals::add);
    }
  }

  private Optional<DeviceServer> device(String targetName, int lun) {
    return Optional.ofNullable(registry.find(targetName)).map(target -> target.device(lun));
  }

  private Target require(String targetName) {
    Target target = registry.find(targetName);
    if (target == null) {
      throw new IllegalArgumentException("target " + targetName + " does not exist");
    }
    return target;
  }

  /**
   * Starts to listen on every portal.
   *
   * @return the portals with the ports that the system chose, in the order of the configuration
   * @throws PortalException one of them cannot be had; none is open then
   */
  public synchronized List<Portal> open() throws IOException {
    if (closed || !acceptors.isEmpty()) {
      throw new IllegalStateException(closed ? "server is closed" : "portals are open already");
    }
    List<Portal> bound = new ArrayList<>();
    try {
      for (Portal portal : config.portals()) {
        Acceptor acceptor = new Acceptor(portal, this::accept);
        acceptors.add(acceptor);
        bound.add(acceptor.portal());
      }
    } catch (IOException e) {
      acceptors.forEach(Acceptor::close);
      acceptors.clear();
      throw e;
    }
    registry.open(bound);
    timer.start();
    acceptors.forEach(Acceptor::start);
    return List.copyOf(bound);
  }

  private void accept(SocketChannel channel, Portal portal) throws IOException {
    if (connections.size() >= config.maxConnections() && !HalfOpen.makeRoom(connections)) {
      refusals.refuse(
          channel,
          new LoginException(
              LoginException.OUT_OF_RESOURCES,
              "no place for %s: all %d connections are logged in"
                  .formatted(channel.getRemoteAddress(), config.maxConnections())));
      return;
    }
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    Connection connection = new Connection(this, channel, portal);
    connections.add(connection);
    Thread thread =
        new Thread(null, connection, "iscsi " + connection.remoteAddress(), STACK_BYTES);
    thread.setDaemon(true);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      // The system has no thread left; the portal closes the channel and says so.
      connections.remove(connection);
      throw e;
    }
    if (closed) {
      connection.cut(new SessionEnd(SessionEnd.Cause.SERVER_CLOSED, "server closed"));
    }
  }

  /** Every session in its full feature phase, discovery sessions included. */
  public List<SessionInfo> sessions() {
    List<SessionInfo> infos = new ArrayList<>();
    for (Connection connection : connections) {
      Session session = connection.session();
      if (session != null) {
        infos.add(session.info());
      }
    }
    return infos;
  }

  /** Names of the targets that are defined, those being withdrawn included. */
  public List<String> targets() {
    return registry.targets().stream().map(Target::name).sorted().toList();
  }

  /** What the whole server has done and holds. */
  public ServerCounters counters() {
    return new ServerCounters(
        connections.size(),
        registry.authenticationFailures(),
        (long) pool.inUse() * BufferPool.BUFFER_BYTES);
  }

  /**
   * Stops: no new connections, initiators are asked to log out, and cut off after the grace; then
   * every unit is flushed.
   *
   * @throws IOException a unit could not be flushed; all others have been
   */
  public void close(Duration grace) throws IOException {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      acceptors.forEach(Acceptor::close);
    }
    timer.interrupt();
    int seconds = Math.clamp(grace.toSeconds(), 1, 0xffff);
    if (!grace.isZero()) {
      for (Connection connection : connections) {
        // One thread each: a peer that takes nothing must not keep the word from the others.
        Thread.ofVirtual()
            .name("iscsi-logout-request")
            .start(() -> connection.requestLogout(seconds));
      }
    }
    boolean interrupted = !awaitAll(grace.toNanos());
    SessionEnd cause = new SessionEnd(SessionEnd.Cause.SERVER_CLOSED, "server closed");
    connections.forEach(connection -> connection.cut(cause));
    interrupted |= !awaitAll(TimeUnit.MILLISECONDS.toNanos(REINSTATEMENT_WAIT_MILLIS));
    senders.shutdownNow();
    try {
      flushAll();
    } finally {
      events.close();
      if (interrupted && Thread.interrupted()) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void close() throws IOException {
    close(Duration.ZERO);
  }

  /** Waits for the connections to end by themselves; false when the time is over. */
  private boolean awaitAll(long limitNanos) {
    long deadline = System.nanoTime() + limitNanos;
    for (Connection connection : connections) {
      try {
        if (!connection.awaitEnd(deadline - System.nanoTime())) {
          return false;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      }
    }
    return true;
  }

  private void flushAll() throws IOException {
    IOException failure = null;
    for (Target target : registry.targets()) {
      for (DeviceServer device : target.devices()) {
        try {
          device.logicalUnit().flush();
        } catch (IOException e) {
          failure = failure == null ? e : failure;
          LOG.log(Level.ERROR, "a unit of " + target.name() + " could not be flushed", e);
        }
        if (!device.flusher().close(REINSTATEMENT_WAIT_MILLIS)) {
          LOG.log(Level.WARNING, "a flush of a unit of {0} did not end", target.name());
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void tick() {
    try {
      while (!closed) {
        Thread.sleep(TICK_MILLIS);
        long now = System.nanoTime();
        connections.forEach(connection -> connection.tick(now));
      }
    } catch (InterruptedException e) {
      LOG.log(Level.DEBUG, "timer stopped");
    }
  }

  /**
   * Registers a session that passed login; ends an older one of the same initiator port first (RFC
   * 7143 6.3.5), whose I/O must be over before the new one's begins.
   */
  void admit(Session session) throws LoginException, IOException {
    Target target = session.target();
    if (target == null) {
      SessionInfo info = session.info();
      events.post(l -> l.onLogin(info, false));
      return;
    }
    boolean reinstated = false;
    while (true) {
      Session older = target.sameNexus(session.nexus());
      if (older != null) {
        reinstated = true;
        older
            .connection()
            .cut(new SessionEnd(SessionEnd.Cause.REINSTATED, "the initiator logged in anew"));
        awaitReinstatement(older);
      }
      switch (target.add(session)) {
        case ADMITTED -> {
          SessionInfo info = session.info();
          boolean again = reinstated;
          events.post(l -> l.onLogin(info, again));
          return;
        }
        // Another login of the same port came first; the last one wins.
        case OCCUPIED -> {}
        case LEAVING ->
            throw new LoginException(LoginException.TARGET_REMOVED, "the target is withdrawn");
        case FULL ->
            throw new LoginException(
                LoginException.OUT_OF_RESOURCES, "the target has all the sessions it may have");
      }
    }
  }

  private static void awaitReinstatement(Session older) throws LoginException, IOException {
    try {
      long limit = TimeUnit.MILLISECONDS.toNanos(REINSTATEMENT_WAIT_MILLIS);
      if (!older.connection().awaitEnd(limit)) {
        throw new LoginException(
            LoginException.OUT_OF_RESOURCES, "I/O of the session before did not end yet");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  void ended(Connection connection) {
    connections.remove(connection);
  }

  /**
   * For sends that may block on a stalled peer and must not hold up the timer.
   *
   * @return false when there is no room for it; a later tick tries again
   */
  boolean sendLater(Runnable send) {
    try {
      senders.execute(send);
      return true;
    } catch (RejectedExecutionException e) {
      LOG.log(Level.DEBUG, "no thread for a ping");
      return false;
    }
  }

  IscsiServerConfig config() {
    return config;
  }

  TargetRegistry registry() {
    return registry;
  }

  BufferPool pool() {
    return pool;
  }

  Semaphore pollPermits() {
    return pollPermits;
  }

  Events events() {
    return events;
  }
}
