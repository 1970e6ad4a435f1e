package io.malleable.netboot;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * Which machine has which address of the pools. Leases go by hardware address, not by client
 * identifier: boot ROM, iPXE and operating system send different identifiers and must keep one
 * address while the drive is mounted.
 *
 * <p>A lease that has expired stays until its address is needed, so a machine that was off for long
 * gets its old address back. No operation depends on the number of leases but for the logarithm of
 * the order by expiry. Used by one thread at a time.
 */
final class LeaseTable {
  /** Of an address that is laid aside: the all-zero address is no machine's. */
  static final MacAddress NOBODY = new MacAddress(0);

  private static final long OFFER_SECONDS = 30;

  /** How long an address rests after a machine found it in use (RFC 2131 4.3.3). */
  private static final long DECLINED_SECONDS = 600;

  /** Reserved addresses skipped in one request; the next request goes on from there. */
  private static final int MAX_SKIPPED = 4096;

  private final List<Pool> pools = new ArrayList<>();
  private final Map<MacAddress, Lease> byMac = new HashMap<>();
  private final Map<Ipv4, Lease> byAddress = new HashMap<>();
  private final LeaseJournal journal;

  /**
   * Takes up the journal's leases; those outside of every pool are forgotten.
   *
   * @param subnets those with a pool are leased from
   */
  LeaseTable(List<DhcpSubnet> subnets, LeaseJournal journal) {
    this.journal = journal;
    subnets.stream()
        .flatMap(subnet -> subnet.pool().stream().map(range -> new Pool(subnet, range)))
        .forEach(pools::add);
    for (LeaseJournal.Entry entry : journal.entries()) {
      poolOf(entry.address())
          .ifPresent(
              pool -> put(new Lease(entry.mac(), entry.address(), entry.expirySeconds(), true)));
    }
    for (Pool pool : pools) {
      pool.collectFresh(byAddress::containsKey);
    }
  }

  /** The address that a machine has, bound or merely offered. */
  Optional<Ipv4> addressOf(MacAddress mac) {
    return Optional.ofNullable(byMac.get(mac)).map(Lease::address);
  }

  /**
   * Chooses an address and holds it for a while: the machine's own of before, the one it asks for,
   * one never used, the one unused for longest.
   *
   * @param usable refuses addresses that are reserved
   * @return empty when the subnet has no pool or no address left
   */
  Optional<Ipv4> offer(
      MacAddress mac,
      DhcpSubnet subnet,
      Optional<Ipv4> wanted,
      long nowSeconds,
      Predicate<Ipv4> usable) {
    Lease known = byMac.get(mac);
    if (known != null && subnet.contains(known.address()) && usable.test(known.address())) {
      if (known.expirySeconds() < nowSeconds + OFFER_SECONDS) {
        put(new Lease(mac, known.address(), nowSeconds + OFFER_SECONDS, known.bound()));
      }
      return Optional.of(known.address());
    }
    Optional<Pool> pool = pools.stream().filter(p -> p.subnet().equals(subnet)).findFirst();
    Optional<Ipv4> address =
        pool.flatMap(p ->
            wanted
                .filter(p.range()::contains)
                .filter(subnet::isHost)
                .filter(usable)
                .filter(a -> isFree(a, nowSeconds))
                .or(() -> p.nextFresh(usable))
                .or(() -> p.oldestExpired(nowSeconds, usable)));
    address.ifPresent(a -> put(new Lease(mac, a, nowSeconds + OFFER_SECONDS, false)));
    return address;
  }

  /**
   * Binds an address that the machine was offered or had; written to the journal before it returns.
   *
   * @return whether the address is the machine's
   */
  boolean bind(MacAddress mac, Ipv4 address, long nowSeconds, long leaseSeconds)
      throws IOException {
    Lease lease = byMac.get(mac);
    if (lease == null || !lease.address().equals(address)) {
      return false;
    }
    Lease bound = new Lease(mac, address, nowSeconds + leaseSeconds, true);
    journal.append(new LeaseJournal.Entry(mac, address, bound.expirySeconds()));
    put(bound);
    return true;
  }

  /** Takes an address that nobody holds for a machine that says it had it. */
  boolean adopt(MacAddress mac, Ipv4 address, long nowSeconds, Predicate<Ipv4> usable) {
    boolean possible =
        poolOf(address).filter(p -> p.subnet().isHost(address)).isPresent()
            && usable.test(address)
            && isFree(address, nowSeconds);
    if (possible) {
      put(new Lease(mac, address, nowSeconds + OFFER_SECONDS, false));
    }
    return possible;
  }

  /** Ends a lease now; the address stays the machine's first choice. */
  void release(MacAddress mac, Ipv4 address, long nowSeconds) throws IOException {
    Lease lease = byMac.get(mac);
    if (lease != null && lease.address().equals(address)) {
      journal.append(new LeaseJournal.Entry(mac, address, nowSeconds));
      put(new Lease(mac, address, nowSeconds, lease.bound()));
    }
  }

  /** Lays an address aside that turned out to be in use. */
  void decline(MacAddress mac, Ipv4 address, long nowSeconds) {
    Lease lease = byMac.get(mac);
    if (lease != null && lease.address().equals(address)) {
      remove(lease);
      put(new Lease(NOBODY, address, nowSeconds + DECLINED_SECONDS, false));
    }
  }

  /**
   * Lays a reserved address aside that its machine found in use; not one that somebody holds.
   *
   * @param address of a pool or not
   */
  void rest(Ipv4 address, long nowSeconds) {
    if (isFree(address, nowSeconds)) {
      put(new Lease(NOBODY, address, nowSeconds + DECLINED_SECONDS, false));
    }
  }

  /** Who has the address now, bound or merely offered; {@link #NOBODY} when it is laid aside. */
  Optional<MacAddress> holder(Ipv4 address, long nowSeconds) {
    return Optional.ofNullable(byAddress.get(address))
        .filter(lease -> lease.expirySeconds() > nowSeconds)
        .map(Lease::mac);
  }

  int size() {
    return byAddress.size();
  }

  private boolean isFree(Ipv4 address, long nowSeconds) {
    Lease holder = byAddress.get(address);
    return holder == null || holder.expirySeconds() <= nowSeconds;
  }

  private Optional<Pool> poolOf(Ipv4 address) {
    return pools.stream().filter(pool -> pool.range().contains(address)).findFirst();
  }

  private void put(Lease lease) {
    Lease ofMachine = byMac.get(lease.mac());
    if (ofMachine != null && !lease.mac().equals(NOBODY)) {
      remove(ofMachine);
    }
    Lease ofAddress = byAddress.get(lease.address());
    if (ofAddress != null) {
      remove(ofAddress);
    }
    byAddress.put(lease.address(), lease);
    if (!lease.mac().equals(NOBODY)) {
      byMac.put(lease.mac(), lease);
    }
    poolOf(lease.address())
        .ifPresent(pool -> {
          pool.byExpiry.add(lease);
          pool.fresh.remove(lease.address());
        });
  }

  private void remove(Lease lease) {
    byMac.remove(lease.mac(), lease);
    if (byAddress.remove(lease.address(), lease)) {
      poolOf(lease.address())
          .ifPresent(pool -> {
            pool.byExpiry.remove(lease);
            pool.fresh.addLast(lease.address());
          });
    }
  }

  /** One address in use or once used. */
  private record Lease(MacAddress mac, Ipv4 address, long expirySeconds, boolean bound)
      implements Comparable<Lease> {
    @Override
    public int compareTo(Lease other) {
      int byExpiry = Long.compare(expirySeconds, other.expirySeconds);
      return byExpiry != 0
          ? byExpiry
          : Integer.compareUnsigned(address.value(), other.address.value());
    }
  }

  /** The addresses of one subnet. */
  private static final class Pool {
    private final DhcpSubnet subnet;
    private final DhcpSubnet.Range range;

    /** Addresses without a lease. */
    private final LinkedHashSet<Ipv4> fresh = new LinkedHashSet<>();

    private final TreeSet<Lease> byExpiry = new TreeSet<>();

    Pool(DhcpSubnet subnet, DhcpSubnet.Range range) {
      this.subnet = subnet;
      this.range = range;
    }

    DhcpSubnet subnet() {
      return subnet;
    }

    DhcpSubnet.Range range() {
      return range;
    }

    void collectFresh(Predicate<Ipv4> leased) {
      fresh.clear();
      for (int i = 0; i < range.size(); i++) {
        Ipv4 address = new Ipv4(range.first().value() + i);
        if (!leased.test(address) && subnet.isHost(address)) {
          fresh.add(address);
        }
      }
    }

    Optional<Ipv4> nextFresh(Predicate<Ipv4> usable) {
      for (int i = Math.min(MAX_SKIPPED, fresh.size()); i > 0; i--) {
        Ipv4 address = fresh.removeFirst();
        if (usable.test(address)) {
          return Optional.of(address);
        }
        fresh.addLast(address);
      }
      return Optional.empty();
    }

    Optional<Ipv4> oldestExpired(long nowSeconds, Predicate<Ipv4> usable) {
      int skipped = 0;
      for (Lease lease : byExpiry) {
        if (lease.expirySeconds() > nowSeconds || skipped++ > MAX_SKIPPED) {
          return Optional.empty();
        }
        if (usable.test(lease.address())) {
          return Optional.of(lease.address());
        }
      }
      return Optional.empty();
    }
  }
}
