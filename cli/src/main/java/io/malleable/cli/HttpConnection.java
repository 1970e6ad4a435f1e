package io.malleable.cli;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ProtocolException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * One HTTP/1.1 exchange (RFC 9112) on a connection of its own, used by one thread; {@link #close}
 * may come from another and ends a blocked read.
 *
 * <p>A command makes one to three calls and must answer at once. The JDK's {@code HttpClient} adds
 * 0.4 s to the start of the process, {@code HttpURLConnection} cannot send PATCH: see docs/adr.
 */
final class HttpConnection implements AutoCloseable {
  static final int CONNECT_TIMEOUT_MILLIS = 5_000;
  private static final int MAX_LINE_BYTES = 16 * 1024;
  private static final int MAX_HEADERS = 200;
  private static final int BUFFER_BYTES = 64 * 1024;

  private final Socket socket;
  private final URI base;

  /** A request body of known length. */
  interface Body {
    long lengthBytes();

    void writeTo(OutputStream out) throws IOException;
  }

  /** The answer's head, with header names in lower case, and its body. */
  record Answer(int status, Map<String, String> headers, InputStream body) {}

  private HttpConnection(URI base, Socket socket) {
    this.base = base;
    this.socket = socket;
  }

  /** Connects to the host and port of an http or https URL. */
  static HttpConnection open(URI base, int readTimeoutMillis) throws IOException {
    boolean secure = "https".equals(base.getScheme());
    int port = base.getPort() > 0 ? base.getPort() : secure ? 443 : 80;
    String host = bareHost(base);
    Socket socket = new Socket();
    try {
      socket.connect(new InetSocketAddress(host, port), CONNECT_TIMEOUT_MILLIS);
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(readTimeoutMillis);
      return new HttpConnection(base, secure ? secured(socket, host, port) : socket);
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  /** The host of a URL; without the brackets that surround an IPv6 address there. */
  static String bareHost(URI url) {
    String host = url.getHost();
    return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
  }

  private static Socket secured(Socket plain, String host, int port) throws IOException {
    SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
    SSLSocket socket = (SSLSocket) factory.createSocket(plain, host, port, true);
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    socket.setSSLParameters(parameters);
    socket.startHandshake();
    return socket;
  }

  /**
   * Sends the request and reads the head of the answer; the body is read by the caller before
   * {@link #close}.
   */
  Answer exchange(String method, String target, Map<String, String> headers, Body body)
      throws IOException {
    StringBuilder head = new StringBuilder(512);
    head.append(method).append(' ').append(target).append(" HTTP/1.1\r\n");
    head.append("Host: ").append(base.getRawAuthority()).append("\r\n");
    head.append("Connection: close\r\n");
    headers.forEach((name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
    if (body.lengthBytes() > 0 || !(method.equals("GET") || method.equals("HEAD"))) {
      head.append("Content-Length: ").append(body.lengthBytes()).append("\r\n");
    }
    head.append("\r\n");
    OutputStream out = socket.getOutputStream();
    out.write(head.toString().getBytes(StandardCharsets.ISO_8859_1));
    try {
      body.writeTo(out);
      out.flush();
    } catch (IOException e) {
      return earlyAnswer(method, e);
    }
    return readAnswer(method);
  }

  /**
   * A server that refuses an upload answers and closes before the last byte has left; that answer
   * is what the user needs.
   */
  private Answer earlyAnswer(String method, IOException broken) throws IOException {
    try {
      return readAnswer(method);
    } catch (IOException e) {
      broken.addSuppressed(e);
      throw broken;
    }
  }

  private Answer readAnswer(String method) throws IOException {
    InputStream in = new java.io.BufferedInputStream(socket.getInputStream(), BUFFER_BYTES);
    int status;
    Map<String, String> headers;
    do {
      status = readStatus(in);
      headers = readHeaders(in);
    } while (status >= 100 && status < 200);
    if (method.equals("HEAD") || status == 204 || status == 304) {
      return new Answer(status, headers, InputStream.nullInputStream());
    }
    if (headers
        .getOrDefault("transfer-encoding", "")
        .toLowerCase(Locale.ROOT)
        .endsWith("chunked")) {
      return new Answer(status, headers, new ChunkedBody(in));
    }
    String length = headers.get("content-length");
    return new Answer(
        status, headers, length == null ? in : new SizedBody(in, parseLength(length, 10)));
  }

  private static int readStatus(InputStream in) throws IOException {
    String line = readLine(in);
    if (!line.matches("HTTP/1\\.[01] [1-9][0-9]{2}( .*)?")) {
      throw new ProtocolException("this is not an HTTP server; it began with: " + line);
    }
    return Integer.parseInt(line, 9, 12, 10);
  }

  private static Map<String, String> readHeaders(InputStream in) throws IOException {
    Map<String, String> headers = new TreeMap<>();
    for (int i = 0; i < MAX_HEADERS; i++) {
      String line = readLine(in);
      if (line.isEmpty()) {
        return headers;
      }
      int colon = line.indexOf(':');
      if (colon <= 0) {
        throw new ProtocolException("malformed HTTP header: " + line);
      }
      headers.put(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    throw new ProtocolException("more than " + MAX_HEADERS + " HTTP headers");
  }

  private static String readLine(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream(128);
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        throw new EOFException("the server closed the connection before it answered");
      }
      if (line.size() == MAX_LINE_BYTES) {
        throw new ProtocolException("an HTTP line is longer than " + MAX_LINE_BYTES + " bytes");
      }
      line.write(c);
    }
    String text = line.toString(StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }

  private static long parseLength(String digits, int radix) throws ProtocolException {
    try {
      long length = Long.parseLong(digits.strip(), radix);
      if (length >= 0) {
        return length;
      }
    } catch (NumberFormatException e) {
      // Falls through to the one message for both.
    }
    throw new ProtocolException("malformed HTTP length: " + digits);
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }

  /** A body of the length that was announced; ending earlier is an error. */
  private static class SizedBody extends FilterInputStream {
    private long leftBytes;

    SizedBody(InputStream in, long lengthBytes) {
      super(in);
      this.leftBytes = lengthBytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (leftBytes == 0 && !advance()) {
        return -1;
      }
      int count = in.read(buffer, offset, (int) Math.min(length, leftBytes));
      if (count < 0) {
        throw new EOFException("the server closed the connection in the middle of its answer");
      }
      leftBytes -= count;
      return count;
    }

    /** Goes on to the next part, if there is one. */
    boolean advance() throws IOException {
      return false;
    }

    final void expect(long lengthBytes) {
      leftBytes = lengthBytes;
    }
  }

  /** RFC 9112 7.1; trailers are read and dropped. */
  private static final class ChunkedBody extends SizedBody {
    private boolean first = true;
    private boolean ended;

    ChunkedBody(InputStream in) {
      super(in, 0);
    }

    @Override
    boolean advance() throws IOException {
      if (ended) {
        return false;
      }
      if (!first && !readLine(in).isEmpty()) {
        throw new ProtocolException("malformed HTTP chunk");
      }
      first = false;
      String line = readLine(in);
      int extension = line.indexOf(';');
      long length = parseLength(extension < 0 ? line : line.substring(0, extension), 16);
      if (length == 0) {
        ended = true;
        readHeaders(in);
        return false;
      }
      expect(length);
      return true;
    }
  }
}
