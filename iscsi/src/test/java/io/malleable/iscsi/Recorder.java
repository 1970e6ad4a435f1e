package io.malleable.iscsi;

import java.net.SocketAddress;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Keeps what a server tells its listener, as short sentences. */
final class Recorder implements TargetListener {
  private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

  @Override
  public void onLogin(SessionInfo session, boolean reinstated) {
    events.add((reinstated ? "reinstated " : "login ") + session.initiator());
  }

  @Override
  public void onAuthenticationFailure(
      String initiator, String target, SocketAddress remoteAddress, String reason) {
    events.add("refused " + initiator + ": " + reason);
  }

  @Override
  public void onFirstRead(SessionInfo session) {
    events.add("first read " + session.initiator());
  }

  @Override
  public void onFirstWrite(SessionInfo session) {
    events.add("first write " + session.initiator());
  }

  @Override
  public void onEnd(SessionInfo session, SessionEnd end) {
    events.add("end " + session.initiator() + ": " + end.cause());
  }

  /** The next event, whenever it comes. */
  String next() throws InterruptedException {
    String event = events.poll(120, TimeUnit.SECONDS);
    return event == null ? "nothing" : event;
  }

  /** Skips events until this one comes. */
  String skipTo(String wanted) throws InterruptedException {
    String event = next();
    while (!event.equals(wanted) && !event.equals("nothing")) {
      event = next();
    }
    return event;
  }
}
