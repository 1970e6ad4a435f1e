package io.malleable.netboot;

import io.malleable.netboot.BootListener.DhcpExchange;
import io.malleable.netboot.DhcpConfig.Mode;
import io.malleable.netboot.DhcpConfig.Strangers;
import io.malleable.netboot.DhcpDirectory.Host;
import io.malleable.netboot.DhcpPacket.Op;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Decides what each message is answered with (RFC 2131 4.3); no sockets. Methods may be called from
 * the threads of both ports: they exclude each other.
 */
final class DhcpEngine {
  private static final System.Logger LOG = System.getLogger(DhcpEngine.class.getName());

  /** RFC 3527: the link that a relay agent speaks for. */
  private static final int RELAY_LINK_SELECTION = 5;

  /** Options echoed must fit with ours into what any client takes (RFC 2132 9.10: 576 octets). */
  private static final int MAX_ECHO_BYTES = 128;

  private static final long OTHER_SERVER_REPEAT_SECONDS = 3600;
  private static final int MAX_OTHER_SERVERS = 16;

  private final DhcpConfig config;
  private final DhcpDirectory directory;
  private final LeaseTable leases;
  private final BootListener listener;
  private final InstantSource clock;
  private final DhcpReplies replies;
  private final StormGuard guard = new StormGuard();

  /** When each other server was reported last. */
  private final Map<Ipv4, Long> otherServers = new LinkedHashMap<>();

  /** Of our own question whether there is another server; it comes back to us as a broadcast. */
  private int probeXid;

  private long received;
  private long answered;
  private long malformed;
  private long strangers;
  private long throttled;
  private long exhausted;

  DhcpEngine(
      DhcpConfig config,
      DhcpDirectory directory,
      LeaseTable leases,
      BootListener listener,
      InstantSource clock) {
    this.config = config;
    this.directory = directory;
    this.leases = leases;
    this.listener = listener;
    this.clock = clock;
    this.replies = new DhcpReplies(config);
  }

  /** A message on the server port, 67. */
  synchronized Optional<DhcpReply> onServerPort(DhcpPacket request) {
    Optional<Caller> admitted = admit(request);
    if (admitted.isEmpty()) {
      return Optional.empty();
    }
    Caller caller = admitted.get();
    if (config.mode() == Mode.PROXY) {
      // The address comes from the other server; its REQUEST is seen and left to it.
      return caller.type() == DhcpMessageType.DISCOVER
          ? proxyAnswer(caller, DhcpMessageType.OFFER)
              .map(packet -> broadcastOrRelay(caller, packet))
          : Optional.empty();
    }
    Optional<DhcpSubnet> subnet = subnet(request);
    if (subnet.isEmpty()) {
      LOG.log(Level.WARNING, "no subnet configured for {0}, relay {1}", caller, request.giaddr());
      return Optional.empty();
    }
    return switch (caller.type()) {
      case DISCOVER -> discover(caller, subnet.get());
      case REQUEST -> request(caller, subnet.get());
      case INFORM -> Optional.of(deliver(caller, replies.inform(caller, subnet.get())));
      case DECLINE, RELEASE -> giveBack(caller);
      case OFFER, ACK, NAK -> Optional.empty(); // a server's words from a client
    };
  }

  /** A message on the proxy port, 4011; the answer goes back to where it came from. */
  synchronized Optional<DhcpPacket> onProxyPort(DhcpPacket request) {
    return admit(request)
        .filter(caller ->
            caller.type() == DhcpMessageType.REQUEST
                || caller.type() == DhcpMessageType.INFORM
                || caller.type() == DhcpMessageType.DISCOVER)
        .flatMap(caller -> proxyAnswer(caller, DhcpMessageType.ACK));
  }

  /** A datagram that was no DHCP message. */
  synchronized void onMalformed() {
    received++;
    malformed++;
  }

  synchronized DhcpCounters counters() {
    return new DhcpCounters(received, answered, malformed, strangers, throttled, exhausted);
  }

  /**
   * A question that only another server would answer. It pretends to come through a relay with our
   * address, so that the answer reaches the server port.
   *
   * @param mac of our interface: no machine's
   */
  synchronized DhcpPacket probe(MacAddress mac) {
    probeXid = ThreadLocalRandom.current().nextInt();
    return new DhcpPacket(
        Op.BOOTREQUEST,
        1,
        probeXid,
        0,
        true,
        Ipv4.ANY,
        Ipv4.ANY,
        Ipv4.ANY,
        config.serverAddress(),
        mac,
        "",
        "",
        DhcpOptions.builder().u8(DhcpOptions.MESSAGE_TYPE, DhcpMessageType.DISCOVER.code).build());
  }

  private Optional<Caller> admit(DhcpPacket request) {
    received++;
    long now = clock.instant().getEpochSecond();
    Optional<Ipv4> server = request.options().address(DhcpOptions.SERVER_IDENTIFIER);
    if (request.op() == Op.BOOTREPLY) {
      // An answer to our own question whether there is another server.
      server.ifPresent(address -> otherServer(address, now));
      return Optional.empty();
    }
    if (request.xid() == probeXid && request.giaddr().equals(config.serverAddress())) {
      return Optional.empty();
    }
    Optional<DhcpMessageType> type = request.type();
    if (type.isEmpty() || !guard.admits(request.chaddr(), now)) {
      if (type.isEmpty()) {
        malformed++;
      } else {
        throttled++;
      }
      return Optional.empty();
    }
    if (type.get() == DhcpMessageType.REQUEST) {
      server.ifPresent(address -> otherServer(address, now));
    }
    Optional<Host> host = directory.find(request.chaddr());
    if (host.isEmpty() && config.strangers() == Strangers.IGNORE) {
      strangers++;
      return Optional.empty();
    }
    Caller caller = new Caller(request, type.get(), DhcpClient.of(request), host, now);
    report(caller, type.get(), Optional.empty());
    return Optional.of(caller);
  }

  private Optional<DhcpReply> discover(Caller caller, DhcpSubnet subnet) {
    Optional<Ipv4> address = addressFor(caller, subnet);
    if (address.isEmpty()) {
      exhausted++;
      return Optional.empty();
    }
    return Optional.of(
        deliver(caller, replies.lease(caller, DhcpMessageType.OFFER, address.get(), subnet)));
  }

  private Optional<Ipv4> addressFor(Caller caller, DhcpSubnet subnet) {
    Optional<Ipv4> own = caller.host().flatMap(Host::address);
    if (own.isPresent()) {
      return own.filter(address -> mayHave(caller, address, subnet));
    }
    Optional<Ipv4> offered =
        leases.offer(
            caller.mac(),
            subnet,
            caller.request().options().address(DhcpOptions.REQUESTED_ADDRESS),
            caller.nowSeconds(),
            this::isUsable);
    if (offered.isEmpty()) {
      LOG.log(Level.WARNING, "no address left in {0} for {1}", subnet.network(), caller);
    }
    return offered;
  }

  /** Whether a node can be given its own address; what is in the way is logged. */
  private boolean mayHave(Caller caller, Ipv4 own, DhcpSubnet subnet) {
    Optional<MacAddress> other =
        leases.holder(own, caller.nowSeconds()).filter(mac -> !mac.equals(caller.mac()));
    String obstacle;
    if (!subnet.isHost(own)) {
      obstacle = "is not in " + subnet.network() + "/" + subnet.prefixBits() + " where it asks";
    } else if (own.equals(config.serverAddress())) {
      obstacle = "is this server's own";
    } else if (other.isEmpty()) {
      return true;
    } else if (other.get().equals(LeaseTable.NOBODY)) {
      obstacle = "it found in use by another machine";
    } else {
      String node = directory.find(other.get()).map(host -> host.node() + ", ").orElse("");
      obstacle = "is leased to another machine: " + node + other.get();
    }
    LOG.log(
        Level.WARNING, "{0} gets no address: the one of its node, {1}, {2}", caller, own, obstacle);
    return false;
  }

  private boolean isUsable(Ipv4 address) {
    return !address.equals(config.serverAddress()) && !directory.isReserved(address);
  }

  /** RFC 2131 4.3.2: selecting, after a reboot, renewing and rebinding. */
  private Optional<DhcpReply> request(Caller caller, DhcpSubnet subnet) {
    DhcpPacket request = caller.request();
    Optional<Ipv4> server = request.options().address(DhcpOptions.SERVER_IDENTIFIER);
    if (server.isPresent() && !server.get().equals(config.serverAddress())) {
      return Optional.empty(); // it chose another server; our offer expires by itself
    }
    Ipv4 wanted =
        request.ciaddr().isAny()
            ? request.options().address(DhcpOptions.REQUESTED_ADDRESS).orElse(Ipv4.ANY)
            : request.ciaddr();
    if (wanted.isAny()) {
      malformed++;
      return Optional.empty();
    }
    Optional<Ipv4> own = caller.host().flatMap(Host::address);
    boolean itsOwn = own.equals(Optional.of(wanted)) && subnet.isHost(wanted);
    if (itsOwn && !mayHave(caller, wanted, subnet)) {
      // A refusal would take the address from a machine that runs with it.
      return Optional.empty();
    }
    boolean granted;
    try {
      granted = own.isPresent() ? itsOwn : bind(caller, wanted, subnet);
    } catch (IOException e) {
      // An address that might be given away twice after a restart is worse than none.
      LOG.log(Level.ERROR, "cannot write the lease file; " + caller + " gets no address", e);
      return Optional.empty();
    }
    if (granted) {
      return Optional.of(
          deliver(caller, replies.lease(caller, DhcpMessageType.ACK, wanted, subnet)));
    }
    LOG.log(Level.INFO, "{0} asks for {1}, which is not its address", caller, wanted);
    return Optional.of(deliver(caller, replies.nak(caller, "not your address: " + wanted)));
  }

  private boolean bind(Caller caller, Ipv4 wanted, DhcpSubnet subnet) throws IOException {
    if (!subnet.isHost(wanted)) {
      return false;
    }
    // Reserved since: it stays with the machine, whose drive hangs on it, until the lease ends.
    if (!leases.holder(wanted, caller.nowSeconds()).equals(Optional.of(caller.mac()))
        && !isUsable(wanted)) {
      return false;
    }
    long leaseSeconds = config.lease().toSeconds();
    // Without a record of it the address may still be free: the record was lost with the host.
    return leases.bind(caller.mac(), wanted, caller.nowSeconds(), leaseSeconds)
        || (leases.addressOf(caller.mac()).isEmpty()
            && leases.adopt(caller.mac(), wanted, caller.nowSeconds(), this::isUsable)
            && leases.bind(caller.mac(), wanted, caller.nowSeconds(), leaseSeconds));
  }

  private Optional<DhcpReply> giveBack(Caller caller) {
    DhcpPacket request = caller.request();
    try {
      if (caller.type() == DhcpMessageType.RELEASE) {
        leases.release(caller.mac(), request.ciaddr(), caller.nowSeconds());
      } else {
        Optional<Ipv4> address = request.options().address(DhcpOptions.REQUESTED_ADDRESS);
        LOG.log(Level.WARNING, "{0} found {1} in use by another machine", caller, address);
        address.ifPresent(a -> {
          leases.decline(caller.mac(), a, caller.nowSeconds());
          if (caller.host().flatMap(Host::address).equals(address)) {
            leases.rest(a, caller.nowSeconds());
          }
        });
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot write the lease file; the lease runs on", e);
    }
    return Optional.empty();
  }

  private Optional<DhcpPacket> proxyAnswer(Caller caller, DhcpMessageType type) {
    Optional<DhcpPacket> packet = replies.proxy(caller, type);
    packet.ifPresent(p -> {
      answered++;
      report(caller, type, Optional.empty());
    });
    return packet;
  }

  /** The subnet of the relay's link, of the client's address, or of the segment itself. */
  private Optional<DhcpSubnet> subnet(DhcpPacket request) {
    if (!request.giaddr().isAny()) {
      return config.subnetOf(
          request.options().relayAddress(RELAY_LINK_SELECTION).orElse(request.giaddr()));
    }
    return Optional.of(request.ciaddr())
        .filter(address -> !address.isAny())
        .flatMap(config::subnetOf)
        .or(() -> config.subnetOf(config.serverAddress()));
  }

  private DhcpReply deliver(Caller caller, DhcpPacket reply) {
    answered++;
    DhcpMessageType type = reply.type().orElseThrow();
    report(caller, type, Optional.of(reply.yiaddr()).filter(address -> !address.isAny()));
    DhcpPacket request = caller.request();
    if (type != DhcpMessageType.NAK && request.giaddr().isAny() && !request.ciaddr().isAny()) {
      return new DhcpReply(reply, request.ciaddr(), config.ports().client());
    }
    return broadcastOrRelay(caller, reply);
  }

  /**
   * To the relay, or to everybody: a client without an address cannot be reached by unicast unless
   * one writes the frame or the neighbour table oneself, and clients take broadcasts (RFC 2131
   * 4.1).
   */
  private DhcpReply broadcastOrRelay(Caller caller, DhcpPacket reply) {
    Ipv4 relay = caller.request().giaddr();
    return relay.isAny()
        ? new DhcpReply(reply, Ipv4.BROADCAST, config.ports().client())
        : new DhcpReply(reply, relay, config.ports().server());
  }

  private void report(Caller caller, DhcpMessageType type, Optional<Ipv4> address) {
    listener.onDhcp(
        new DhcpExchange(
            caller.mac(),
            caller.host().map(Host::node),
            type,
            caller.client().kind().name().toLowerCase(Locale.ROOT),
            address));
  }

  private void otherServer(Ipv4 server, long nowSeconds) {
    Long last = otherServers.get(server);
    boolean ours = server.equals(config.serverAddress()) || server.isAny();
    boolean reported = last != null && nowSeconds - last < OTHER_SERVER_REPEAT_SECONDS;
    if (ours || reported || (last == null && otherServers.size() >= MAX_OTHER_SERVERS)) {
      return;
    }
    otherServers.put(server, nowSeconds);
    boolean expected = config.mode() == Mode.PROXY;
    LOG.log(
        expected ? Level.INFO : Level.WARNING,
        expected
            ? "DHCP server {0} hands out addresses on {1}"
            : "another DHCP server, {0}, answers on {1}: stop it, or serve in proxy mode",
        server,
        config.interfaceName());
    listener.onOtherDhcpServer(server, expected);
  }

  /** Whether the parts of a request that a reply has to repeat are small enough for it. */
  static boolean fits(byte[] echo) {
    return echo.length <= MAX_ECHO_BYTES;
  }

  /** A message that is to be answered, and who sent it. */
  record Caller(
      DhcpPacket request,
      DhcpMessageType type,
      DhcpClient client,
      Optional<Host> host,
      long nowSeconds) {
    MacAddress mac() {
      return request.chaddr();
    }

    @Override
    public String toString() {
      return host.map(h -> h.node() + " (" + mac() + ")").orElseGet(() -> mac().toString());
    }
  }
}
