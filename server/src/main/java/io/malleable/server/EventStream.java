package io.malleable.server;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/** Writes server-sent events (WHATWG HTML 9.2). Owned by the thread of its request. */
final class EventStream {
  static final String CONTENT_TYPE = "text/event-stream";

  /** Proxies drop connections that are silent for longer; a client that is gone shows as well. */
  private static final long KEEP_ALIVE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final OutputStream out;
  private long lastNanos;

  EventStream(OutputStream out) {
    this.out = out;
    this.lastNanos = System.nanoTime();
  }

  void send(String name, Object data) throws IOException {
    write("event: " + name + "\ndata: " + Json.write(data) + "\n\n");
  }

  void send(String id, String name, Object data) throws IOException {
    write("id: " + id + "\nevent: " + name + "\ndata: " + Json.write(data) + "\n\n");
  }

  /** A comment, when nothing was sent for a while. */
  void keepAlive() throws IOException {
    if (System.nanoTime() - lastNanos > KEEP_ALIVE_NANOS) {
      write(":\n\n");
    }
  }

  /** Sends the headers, so that a client knows at once that it is connected. */
  void open() throws IOException {
    write(":\n\n");
  }

  private void write(String text) throws IOException {
    out.write(text.getBytes(StandardCharsets.UTF_8));
    out.flush();
    lastNanos = System.nanoTime();
  }
}
