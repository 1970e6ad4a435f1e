package io.malleable.netboot;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.NetworkInterface;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Tells machines of ours that there is no IPv6 router, so that they need not wait for one.
 *
 * <p>iPXE configures IPv4 and IPv6 side by side and starts to boot when both have ended. Where no
 * router answers, its IPv6 half repeats the solicitation (RFC 4861 6.3.7) with growing pauses and
 * gives up after some 14 seconds. The answer here carries nothing: router lifetime 0, no prefix,
 * neither managed nor other configuration, so nobody gets an address or a route by it. It goes to
 * the machine alone, and only to one of ours; all other hosts on the segment hear nothing.
 *
 * <p>One platform thread. Needs the right to open raw sockets (root or CAP_NET_RAW) and IPv6
 * enabled on the interface.
 */
public final class RouterAdvertiser implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(RouterAdvertiser.class.getName());

  private static final int IPPROTO_IPV6 = 41;
  private static final int IPPROTO_ICMPV6 = 58;
  private static final int ICMP6_FILTER = 1;
  private static final int IPV6_UNICAST_HOPS = 16;
  private static final int IPV6_JOIN_GROUP = 20;

  private static final int ROUTER_SOLICITATION = 133;
  private static final int ROUTER_ADVERTISEMENT = 134;
  private static final int SOURCE_LINK_LAYER_ADDRESS = 1;
  private static final int SOLICITATION_BYTES = 8;
  private static final int ADVERTISEMENT_BYTES = 16;
  private static final int OPTION_BYTES = 8;

  /** ff02::2, all routers of the link. */
  private static final byte[] ALL_ROUTERS = {
    (byte) 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
  };

  private static final int ADDRESS_OFFSET = 8; // in struct sockaddr_in6
  private static final int MAX_DATAGRAM_BYTES = 1500;

  private final LinuxSocket socket;
  private final DhcpDirectory directory;
  private final DhcpConfig.Strangers strangers;
  private final InstantSource clock;
  private final byte[] advertisement;
  private final StormGuard guard = new StormGuard();
  private final Thread thread;
  private volatile boolean closed;

  private RouterAdvertiser(
      LinuxSocket socket,
      byte[] advertisement,
      DhcpDirectory directory,
      DhcpConfig.Strangers strangers,
      InstantSource clock) {
    this.socket = socket;
    this.advertisement = advertisement;
    this.directory = directory;
    this.strangers = strangers;
    this.clock = clock;
    this.thread = Thread.ofPlatform().name("router-advertiser").daemon().unstarted(this::serve);
  }

  /**
   * Answers until {@link #close()}.
   *
   * @throws IOException when privileges are missing or the interface cannot be used
   */
  public static RouterAdvertiser start(
      String interfaceName,
      DhcpDirectory directory,
      DhcpConfig.Strangers strangers,
      InstantSource clock)
      throws IOException {
    NetworkInterface card = NetworkInterface.getByName(interfaceName);
    if (card == null) {
      throw new IOException("there is no network interface " + interfaceName);
    }
    byte[] mac = card.getHardwareAddress();
    LinuxSocket socket =
        LinuxSocket.open(LinuxSocket.AF_INET6, LinuxSocket.SOCK_RAW, IPPROTO_ICMPV6, interfaceName);
    try {
      byte[] filter = new byte[32];
      Arrays.fill(filter, (byte) 0xff); // a bit set blocks its type
      ByteBuffer words = ByteBuffer.wrap(filter).order(ByteOrder.nativeOrder());
      int word = ROUTER_SOLICITATION / 32 * 4;
      words.putInt(word, words.getInt(word) & ~(1 << ROUTER_SOLICITATION % 32));
      socket.setOption(IPPROTO_ICMPV6, ICMP6_FILTER, filter, "filter ICMPv6");
      byte[] group =
          ByteBuffer.allocate(20)
              .order(ByteOrder.nativeOrder())
              .put(ALL_ROUTERS)
              .putInt(card.getIndex())
              .array();
      socket.setOption(IPPROTO_IPV6, IPV6_JOIN_GROUP, group, "listen for router solicitations");
      // RFC 4861 6.1.2: with any other hop limit it is not taken for local.
      socket.setOption(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255);
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
    RouterAdvertiser advertiser =
        new RouterAdvertiser(
            socket, advertisement(mac == null ? new byte[0] : mac), directory, strangers, clock);
    advertiser.thread.start();
    return advertiser;
  }

  @Override
  public void close() throws IOException {
    closed = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the router advertiser stopped", e);
    }
    socket.close();
  }

  private void serve() {
    ByteBuffer datagram = ByteBuffer.allocate(MAX_DATAGRAM_BYTES);
    byte[] source = new byte[LinuxSocket.MAX_ADDRESS_BYTES];
    while (!closed) {
      try {
        OptionalInt length = socket.receive(datagram, source);
        if (length.isPresent() && isLinkLocal(source) && isOurs(datagram)) {
          socket.send(advertisement, source.clone());
        }
      } catch (IOException e) {
        // For example no neighbour entry for the machine yet; it asks again.
        LOG.log(Level.DEBUG, "router solicitation not answered: {0}", e.getMessage());
      } catch (RuntimeException bug) {
        LOG.log(Level.ERROR, "a router solicitation could not be answered", bug);
      }
    }
  }

  private boolean isOurs(ByteBuffer solicitation) {
    Optional<MacAddress> mac = sender(solicitation);
    return mac.isPresent()
        && (strangers == DhcpConfig.Strangers.SERVE || directory.find(mac.get()).isPresent())
        && guard.admits(mac.get(), clock.instant().getEpochSecond());
  }

  /** Source link-layer address (RFC 4861 4.6.1); empty when it is not named or cut off. */
  static Optional<MacAddress> sender(ByteBuffer solicitation) {
    ByteBuffer in = solicitation.slice();
    if (in.remaining() < SOLICITATION_BYTES || (in.get(0) & 0xff) != ROUTER_SOLICITATION) {
      return Optional.empty();
    }
    for (int at = SOLICITATION_BYTES; at + OPTION_BYTES <= in.limit(); ) {
      int lengthBytes = (in.get(at + 1) & 0xff) * OPTION_BYTES;
      if (lengthBytes == 0) {
        return Optional.empty();
      }
      if (in.get(at) == SOURCE_LINK_LAYER_ADDRESS && lengthBytes == OPTION_BYTES) {
        byte[] mac = new byte[6];
        in.get(at + 2, mac);
        return Optional.of(MacAddress.of(mac));
      }
      at += lengthBytes;
    }
    return Optional.empty();
  }

  /** RFC 4861 4.2, all zero but its type and our hardware address; the kernel adds the checksum. */
  static byte[] advertisement(byte[] mac) {
    boolean named = mac.length == 6;
    ByteBuffer out = ByteBuffer.allocate(ADVERTISEMENT_BYTES + (named ? OPTION_BYTES : 0));
    out.put(0, (byte) ROUTER_ADVERTISEMENT);
    if (named) {
      out.position(ADVERTISEMENT_BYTES);
      out.put((byte) SOURCE_LINK_LAYER_ADDRESS).put((byte) 1).put(mac);
    }
    return out.array();
  }

  /** fe80::/10: no router forwards such a packet, so it comes from this link. */
  private static boolean isLinkLocal(byte[] source) {
    return source[ADDRESS_OFFSET] == (byte) 0xfe && (source[ADDRESS_OFFSET + 1] & 0xc0) == 0x80;
  }
}
