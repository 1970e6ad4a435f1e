package io.malleable.iscsi;

import java.util.UUID;

/**
 * Who a logical unit is, independent of the session, the portal and the process that serves it.
 *
 * @param id source of the unit serial number and of the NAA and EUI-64 designators (SPC-4 7.8.5)
 * @param vendor T10 vendor identification, at most 8 ASCII characters
 * @param product at most 16 ASCII characters
 * @param revision at most 4 ASCII characters
 */
public record LogicalUnitIdentity(UUID id, String vendor, String product, String revision) {}
