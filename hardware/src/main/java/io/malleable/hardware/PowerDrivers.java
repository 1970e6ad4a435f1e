package io.malleable.hardware;

import java.lang.ref.WeakReference;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Finds the driver for a node's {@code bmc} address. Drivers are cheap, hold no connection, and may
 * be made for every use.
 */
public final class PowerDrivers {
  /** One lock for each lab machine would grow for ever; a few shared ones do not. */
  private static final int LOCKS = 64;

  private final HardwareSettings settings;
  private final BmcLimits limits;
  private final BmcHttp http;

  /** Those that somebody looks at; others keep nothing, and go. Guarded by itself. */
  private final Map<ConsoleKey, WeakReference<SharedConsole>> consoles = new HashMap<>();

  private final Lock[] labLocks = new Lock[LOCKS];

  /** What a machine wrote is never shown to whom its BMC belongs next, as another node. */
  private record ConsoleKey(UUID node, BmcAddress.Ipmi bmc) {}

  public PowerDrivers(HardwareSettings settings) {
    this(settings, BmcLimits.standard());
  }

  /** With other limits than usual for BMCs. */
  public PowerDrivers(HardwareSettings settings, BmcLimits limits) {
    this.settings = settings;
    this.limits = limits;
    this.http = new BmcHttp(settings.bmcCertificates());
    Arrays.setAll(labLocks, i -> new ReentrantLock());
  }

  /**
   * The driver of a machine. Nothing is contacted before the driver is used.
   *
   * @param bmc the node's address, null or blank for a machine that somebody else switches
   * @param firmware how the machine boots; some BMCs must be told
   * @throws BmcAddressException when the address is malformed
   */
  public PowerDriver driver(@Nullable String bmc, Firmware firmware) {
    return switch (BmcAddress.parse(bmc)) {
      case BmcAddress.None none -> new NoPower();
      case BmcAddress.Qemu qemu -> {
        Lock lock = labLocks[Math.floorMod(qemu.name().hashCode(), LOCKS)];
        yield new QemuPower(directory(qemu), settings.qemuUser(), lock);
      }
      case BmcAddress.Ipmi ipmi -> new VerifiedPower(new IpmiBmc(tool(ipmi), firmware), limits);
      case BmcAddress.Redfish redfish ->
          new VerifiedPower(
              new RedfishSystem(redfish, firmware, settings.credentials(), http, limits), limits);
    };
  }

  /**
   * The serial console of a machine, or empty when its address leads to none.
   *
   * @param node whose machine it is: only those who look at the same node share a session
   * @throws BmcAddressException when the address is malformed
   */
  public Optional<NodeConsole> console(UUID node, @Nullable String bmc) {
    return switch (BmcAddress.parse(bmc)) {
      case BmcAddress.Qemu qemu -> Optional.of(new QemuConsole(directory(qemu)));
      case BmcAddress.None none -> Optional.empty();
      case BmcAddress.Ipmi ipmi -> Optional.of(shared(node, ipmi));
      case BmcAddress.Redfish redfish ->
          Optional.ofNullable(redfish.console()).map(ipmi -> shared(node, ipmi));
    };
  }

  /** A BMC has one session for its console, so everybody who looks or types shares it. */
  private NodeConsole shared(UUID node, BmcAddress.Ipmi ipmi) {
    ConsoleKey key = new ConsoleKey(node, ipmi);
    synchronized (consoles) {
      consoles.values().removeIf(console -> console.refersTo(null));
      WeakReference<SharedConsole> known = consoles.get(key);
      SharedConsole console = known == null ? null : known.get();
      if (console == null) {
        console = new SharedConsole(new SolConsole(tool(ipmi), limits.call()));
        consoles.put(key, new WeakReference<>(console));
      }
      return console;
    }
  }

  private IpmiTool tool(BmcAddress.Ipmi ipmi) {
    return new IpmiTool(ipmi, settings.credentials(), limits.call());
  }

  private MachineDirectory directory(BmcAddress.Qemu qemu) {
    return new MachineDirectory(MachineDefinition.directory(settings.labDirectory(), qemu.name()));
  }
}
