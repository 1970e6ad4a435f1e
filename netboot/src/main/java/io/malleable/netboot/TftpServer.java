package io.malleable.netboot;

import io.malleable.netboot.BootListener.Link;
import io.malleable.netboot.BootListener.LoaderServed;
import io.malleable.netboot.BootScripts.Origin;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.PortUnreachableException;
import java.net.SocketAddress;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * TFTP, read-only (RFC 1350, 2347, 2348, 2349, 7440): boot loaders and the entry script. A request
 * names an entry of a fixed list and never a path, so there is nothing to escape from.
 *
 * <p>One virtual thread reads requests, one more runs each transfer.
 */
public final class TftpServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(TftpServer.class.getName());

  private static final int MAX_TRANSFERS = 1024;

  private static final int MAX_DATAGRAM_BYTES = 2048;
  private static final int RETRY_SECONDS = 10;

  private final DatagramSocket socket;
  private final LoaderDirectory loaders;
  private final int bootHttpPort;
  private final BootListener listener;
  private final int maxTransfers;
  private final Neighbours neighbours = Neighbours.ofKernel();
  private final ExecutorService executor =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("tftp-", 0).factory());

  /** Transfers under way by the client's address: a repeated request must not start a second. */
  private final Map<SocketAddress, DatagramSocket> transfers = new ConcurrentHashMap<>();

  private TftpServer(
      DatagramSocket socket,
      LoaderDirectory loaders,
      int bootHttpPort,
      BootListener listener,
      int maxTransfers) {
    this.maxTransfers = maxTransfers;
    this.socket = socket;
    this.loaders = loaders;
    this.bootHttpPort = bootHttpPort;
    this.listener = listener;
  }

  static TftpServer start(
      InetSocketAddress listen, LoaderDirectory loaders, int bootHttpPort, BootListener listener)
      throws IOException {
    return start(listen, loaders, bootHttpPort, listener, MAX_TRANSFERS);
  }

  /**
   * Serves until {@link #close()}.
   *
   * @param listen an address of this host, so that answers come from where the client asked; port 0
   *     takes a free one
   * @param bootHttpPort where the entry script sends machines, on the same host
   * @param maxTransfers at once, each with a socket of its own; a request beyond them is left
   *     unanswered, as firmware asks again by itself
   * @throws IOException when the address cannot be bound; names it
   */
  public static TftpServer start(
      InetSocketAddress listen,
      LoaderDirectory loaders,
      int bootHttpPort,
      BootListener listener,
      int maxTransfers)
      throws IOException {
    DatagramSocket socket;
    try {
      socket = new DatagramSocket(listen);
    } catch (SocketException e) {
      throw new IOException(
          "TFTP cannot use %s: %s; choose another --tftp address".formatted(listen, e.getMessage()),
          e);
    }
    TftpServer server = new TftpServer(socket, loaders, bootHttpPort, listener, maxTransfers);
    server.executor.execute(server::serve);
    return server;
  }

  /** Where requests are read, with the real port. */
  public InetSocketAddress address() {
    return (InetSocketAddress) socket.getLocalSocketAddress();
  }

  /** Transfers under way. */
  public int transferCount() {
    return transfers.size();
  }

  /** Cuts transfers off. */
  @Override
  public void close() {
    socket.close();
    executor.shutdownNow();
    transfers.values().forEach(DatagramSocket::close);
  }

  private void serve() {
    byte[] buffer = new byte[MAX_DATAGRAM_BYTES];
    DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
    while (!socket.isClosed()) {
      try {
        packet.setLength(buffer.length);
        socket.receive(packet);
        accept(packet);
      } catch (IOException e) {
        if (!socket.isClosed()) {
          LOG.log(Level.WARNING, "TFTP request lost: {0}", e.getMessage());
        }
      }
    }
  }

  private void accept(DatagramPacket packet) throws IOException {
    SocketAddress client = packet.getSocketAddress();
    if (transfers.containsKey(client) || transfers.size() >= maxTransfers) {
      return;
    }
    byte[] request = packet.getData().clone();
    int lengthBytes = packet.getLength();
    DatagramSocket own = new DatagramSocket(new InetSocketAddress(socket.getLocalAddress(), 0));
    transfers.put(client, own);
    try {
      executor.execute(() -> transfer(own, client, request, lengthBytes));
    } catch (RuntimeException closing) {
      transfers.remove(client);
      own.close();
    }
  }

  private void transfer(DatagramSocket own, SocketAddress client, byte[] datagram, int length) {
    try (own) {
      own.connect(client);
      try {
        TftpRequest request = TftpRequest.parse(datagram, length);
        byte[] content = content(request, own);
        if (new TftpTransfer(own, request, content).run()) {
          InetAddress remote = ((InetSocketAddress) client).getAddress();
          listener.onLoader(
              new LoaderServed(
                  request.file(),
                  "tftp",
                  neighbours.find(remote),
                  new Link(remote, own.getLocalAddress())));
        } else {
          LOG.log(Level.DEBUG, "{0} did not finish {1}", client, request.file());
        }
      } catch (TftpErrorException refused) {
        own.send(error(refused));
      }
    } catch (PortUnreachableException gone) {
      LOG.log(Level.DEBUG, "{0} left", client);
    } catch (IOException e) {
      if (!own.isClosed()) {
        LOG.log(Level.WARNING, "transfer to " + client + " failed", e);
      }
    } catch (RuntimeException bug) {
      LOG.log(Level.ERROR, "transfer to " + client + " failed", bug);
    } finally {
      transfers.remove(client);
    }
  }

  private byte[] content(TftpRequest request, DatagramSocket own)
      throws TftpErrorException, IOException {
    byte[] content;
    String name = request.file();
    if (name.equals("boot.ipxe") || name.equals("autoexec.ipxe")) {
      Origin origin = new Origin(BootScripts.literal(own.getLocalAddress()), bootHttpPort);
      content = BootScripts.entry(origin.base(), RETRY_SECONDS).getBytes(StandardCharsets.US_ASCII);
    } else {
      try {
        content = loaders.read(name);
      } catch (NoSuchFileException missing) {
        if (LoaderDirectory.isLoader(name)) {
          LOG.log(Level.WARNING, "boot loader {0}", missing.getMessage());
        }
        throw new TftpErrorException(TftpErrorException.FILE_NOT_FOUND, "no such file");
      }
    }
    return request.netascii() ? netascii(content) : content;
  }

  /** RFC 764: a line ends with CR LF, a bare CR becomes CR NUL. */
  private static byte[] netascii(byte[] content) {
    ByteArrayOutputStream text = new ByteArrayOutputStream(content.length + content.length / 8);
    for (byte octet : content) {
      if (octet == '\n') {
        text.write('\r');
      }
      text.write(octet);
      if (octet == '\r') {
        text.write(0);
      }
    }
    return text.toByteArray();
  }

  private static DatagramPacket error(TftpErrorException refused) {
    String text = "\0\u0005\0" + (char) refused.code() + refused.getMessage() + "\0";
    byte[] octets = text.getBytes(StandardCharsets.ISO_8859_1);
    return new DatagramPacket(octets, octets.length);
  }
}
