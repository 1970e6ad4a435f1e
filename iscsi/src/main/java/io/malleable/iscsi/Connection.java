package io.malleable.iscsi;

import java.io.EOFException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * One TCP connection with a platform thread of its own: login, then full feature phase, then the
 * end. Other threads may only {@link #cut} it, ask what it is, and tick its clocks.
 */
final class Connection implements Runnable, SessionEvents {
  private static final System.Logger LOG = System.getLogger(Connection.class.getName());
  private static final int LOGOUT_REQUESTED = 1;

  private static final AtomicLong NUMBERS = new AtomicLong();

  private final long number = NUMBERS.incrementAndGet();
  private final IscsiServer server;
  private final SocketChannel channel;
  private final Portal portal;
  private final InetSocketAddress localAddress;
  private final InetSocketAddress remoteAddress;
  private final Outbound outbound;
  private final BusyPoll receiver;
  private final PduReader reader;
  private final PduWriter out;
  private volatile @Nullable FullFeaturePhase fullFeaturePhase;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final CountDownLatch cutOff = new CountDownLatch(1);
  private final AtomicReference<@Nullable SessionEnd> endCause = new AtomicReference<>();
  private final Watch watch;

  /** CID, as the initiator chose it. */
  private int connectionId;

  private CommandWindow window = new CommandWindow(0, 1);
  private volatile @Nullable Session session;

  /** The last Login Response has left, and what was agreed on holds. */
  private volatile boolean fullFeature;

  /** Seconds that the initiator has to log out, or 0 while it may stay. */
  private final AtomicInteger logoutSeconds = new AtomicInteger();

  Connection(IscsiServer server, SocketChannel channel, Portal portal) throws IOException {
    this.server = server;
    this.channel = channel;
    this.portal = portal;
    this.localAddress = (InetSocketAddress) channel.getLocalAddress();
    this.remoteAddress = (InetSocketAddress) channel.getRemoteAddress();
    this.outbound = new Outbound(channel);
    this.receiver = new BusyPoll(channel, server.pollPermits(), System::nanoTime);
    this.reader = new PduReader(receiver, server.pool());
    this.out = new PduWriter(outbound, server.pool());
    this.watch = new Watch(server.config(), reader, outbound);
  }

  InetSocketAddress localAddress() {
    return localAddress;
  }

  InetSocketAddress remoteAddress() {
    return remoteAddress;
  }

  /** Neither logged in nor about to end. */
  boolean loggingIn() {
    return session == null && endCause.get() == null;
  }

  boolean olderThan(Connection other) {
    return number < other.number;
  }

  Portal portal() {
    return portal;
  }

  IscsiServerConfig config() {
    return server.config();
  }

  @Nullable Session session() {
    return session;
  }

  int connectionId() {
    return connectionId;
  }

  void connectionId(int cid) {
    connectionId = cid;
  }

  void window(CommandWindow commandWindow) {
    window = commandWindow;
    outbound.window(commandWindow);
  }

  @Override
  public void run() {
    SessionEnd end = null;
    outbound.receiver(Thread.currentThread());
    try {
      end = serve();
    } catch (EOFException e) {
      cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, "closed by the initiator"));
    } catch (ProtocolException e) {
      cut(new SessionEnd(SessionEnd.Cause.PROTOCOL_ERROR, String.valueOf(e.getMessage())));
    } catch (IOException e) {
      cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, String.valueOf(e.getMessage())));
    } catch (RuntimeException | Error e) {
      fail(e);
    } finally {
      finish(end);
    }
  }

  private @Nullable SessionEnd serve() throws IOException {
    LoginPhase login = new LoginPhase(server.registry(), this, reader, out);
    Session opened;
    try {
      opened = login.run();
      server.admit(opened);
    } catch (LoginException e) {
      refuse(login, e);
      return null;
    }
    session = opened;
    watch.loggedIn();
    opened.attachAll();
    out.flush();
    NegotiatedParameters parameters = opened.parameters();
    reader.fullFeaturePhase(BufferPool.MAX_SEGMENT_BYTES, parameters);
    out.fullFeaturePhase(parameters);
    outbound.fullFeaturePhase(parameters);
    fullFeature = true;
    sendLogoutRequest();
    Workers workers = new Workers(this, outbound, server.pool(), window, parameters);
    FullFeaturePhase phase =
        new FullFeaturePhase(
            this, opened, server.registry(), window, receiver, reader, out, workers, server.pool());
    fullFeaturePhase = phase;
    return phase.run();
  }

  private void refuse(LoginPhase login, LoginException e) throws IOException {
    String reason = String.valueOf(e.getMessage());
    LOG.log(
        Level.INFO,
        "login of {0} from {1} to {2} refused: {3}",
        login.initiatorName(),
        remoteAddress,
        login.targetName(),
        reason);
    boolean untrusted =
        e.status() == LoginException.AUTHENTICATION_FAILURE
            || e.status() == LoginException.AUTHORIZATION_FAILURE;
    if (untrusted) {
      server.registry().countAuthenticationFailure();
      String initiator = login.initiatorName();
      String target = login.targetName();
      server
          .events()
          .post(l -> l.onAuthenticationFailure(initiator, target, remoteAddress, reason));
      holdBack();
    }
    login.refuse(e);
  }

  /** Slows down guessing; ends early when the connection is cut. */
  private void holdBack() throws IOException {
    try {
      long millis = server.config().authenticationFailureDelay().toMillis();
      if (cutOff.await(millis, TimeUnit.MILLISECONDS)) {
        throw new EOFException("cut while a refusal was held back");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private void finish(@Nullable SessionEnd orderlyEnd) {
    Session opened = session;
    if (orderlyEnd != null) {
      endCause.compareAndSet(null, orderlyEnd);
    }
    out.close();
    reader.close();
    closeChannel();
    if (opened != null) {
      opened.detachAll();
      Target target = opened.target();
      if (target != null) {
        target.remove(opened);
      }
    }
    server.ended(this);
    ended.countDown();
    SessionEnd end = endCause.get();
    if (opened != null && end != null) {
      SessionInfo info = opened.info();
      LOG.log(
          Level.DEBUG,
          "session of {0} from {1} to {2} ended: {3}",
          info.initiator(),
          remoteAddress,
          info.target(),
          end);
      server.events().post(l -> l.onEnd(info, end));
    } else if (end != null) {
      LOG.log(Level.DEBUG, "connection from {0} ended before login: {1}", remoteAddress, end);
    }
  }

  /** Ends the connection from any thread; the first cause given is the one that is told. */
  void cut(SessionEnd cause) {
    endCause.compareAndSet(null, cause);
    cutOff.countDown();
    closeChannel();
  }

  /** A fault of ours: this connection ends loudly, the others go on. */
  void fail(Throwable fault) {
    LOG.log(Level.ERROR, "a connection from " + remoteAddress + " ended for a fault", fault);
    cut(new SessionEnd(SessionEnd.Cause.FAILURE, fault.toString()));
  }

  private void closeChannel() {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing a connection failed", e);
    }
  }

  /** Returns whether the connection has ended, with no I/O of it in flight, within the limit. */
  boolean awaitEnd(long waitLimitNanos) throws InterruptedException {
    return ended.await(Math.max(0, waitLimitNanos), TimeUnit.NANOSECONDS);
  }

  /** Called by the connection thread before another thread sends answers for the first time. */
  void othersSend() throws IOException {
    receiver.stop();
  }

  void waiting() {
    watch.waiting(true);
  }

  void working() {
    watch.waiting(false);
  }

  /** Ends the sessions of the whole target, this one last. */
  void resetTarget() {
    Session opened = session;
    Target target = opened == null ? null : opened.target();
    if (target != null) {
      SessionEnd reset = new SessionEnd(SessionEnd.Cause.RESET, "target cold reset");
      for (Session other : target.sessions()) {
        if (other != opened) {
          other.connection().cut(reset);
        }
      }
    }
  }

  /** Called by the timer, which must outlive every fault: the clocks of all others hang on it. */
  void tick(long nowNanos) {
    try {
      checkClocks(nowNanos);
    } catch (RuntimeException | Error e) {
      fail(e);
    }
  }

  private void checkClocks(long nowNanos) {
    FullFeaturePhase phase = fullFeaturePhase;
    long expectingSince = phase == null ? 0 : phase.expectingSinceNanos();
    Watch.Verdict verdict = watch.tick(nowNanos, expectingSince);
    if (verdict.end() != null) {
      cut(verdict.end());
    } else if (verdict.ping()) {
      Session opened = session;
      if (opened != null && opened.target() == null) {
        // A discovery session takes no pings (RFC 7143 4.3); it has no reason to stay either.
        cut(new SessionEnd(SessionEnd.Cause.TIMEOUT, "discovery session without a request"));
      } else if (!server.sendLater(this::ping)) {
        watch.pingSkipped();
      }
    }
  }

  private void ping() {
    ByteBuffer header = ByteBuffer.allocateDirect(Bhs.LENGTH_BYTES + 4);
    header.put(Bhs.OPCODE_OFFSET, (byte) Opcode.NOP_IN);
    header.put(Bhs.FLAGS_OFFSET, (byte) Bhs.FINAL_BIT);
    header.putInt(Bhs.INITIATOR_TASK_TAG_OFFSET, Bhs.RESERVED_TAG);
    header.putInt(Bhs.TARGET_TRANSFER_TAG_OFFSET, 1);
    try {
      if (outbound.sendIfIdle(header, Outbound.STAT_SN_NEXT)) {
        watch.pingSent(System.nanoTime());
      } else {
        watch.pingSkipped();
      }
    } catch (IOException e) {
      cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, String.valueOf(e.getMessage())));
    }
  }

  /**
   * Asks the initiator to log out (RFC 7143 11.9, event 1), as soon as its login is over. Waits for
   * what is being sent.
   *
   * @param seconds from 1
   */
  void requestLogout(int seconds) {
    logoutSeconds.set(seconds);
    sendLogoutRequest();
  }

  private void sendLogoutRequest() {
    int seconds = fullFeature ? logoutSeconds.getAndSet(0) : 0;
    if (seconds == 0) {
      return;
    }
    ByteBuffer header = ByteBuffer.allocateDirect(Bhs.LENGTH_BYTES + 4);
    header.put(Bhs.OPCODE_OFFSET, (byte) Opcode.ASYNC_MESSAGE);
    header.put(Bhs.FLAGS_OFFSET, (byte) Bhs.FINAL_BIT);
    header.putInt(Bhs.INITIATOR_TASK_TAG_OFFSET, Bhs.RESERVED_TAG);
    header.put(36, (byte) LOGOUT_REQUESTED);
    header.putShort(42, (short) seconds);
    try {
      outbound.send(header, Outbound.STAT_SN_USED);
    } catch (IOException e) {
      cut(new SessionEnd(SessionEnd.Cause.CONNECTION_LOST, String.valueOf(e.getMessage())));
    }
  }

  @Override
  public void firstRead() {
    Session opened = session;
    if (opened != null) {
      SessionInfo info = opened.info();
      server.events().post(l -> l.onFirstRead(info));
    }
  }

  @Override
  public void firstWrite() {
    Session opened = session;
    if (opened != null) {
      SessionInfo info = opened.info();
      server.events().post(l -> l.onFirstWrite(info));
    }
  }
}
