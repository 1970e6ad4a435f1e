package io.malleable.hardware;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What the drivers need to know about this installation.
 *
 * @param labDirectory holds one directory per virtual machine
 * @param credentials the passwords of the BMCs
 * @param qemuUser the account that virtual machines run as when the server is root, or null for the
 *     server's own
 * @param bmcCertificates PEM file of the authorities that signed the BMCs' certificates, or null
 *     for the ones that the Java runtime trusts
 */
public record HardwareSettings(
    Path labDirectory,
    Credentials credentials,
    @Nullable String qemuUser,
    @Nullable Path bmcCertificates) {

  /** Only the lab's machines and nodes without power control. */
  public static HardwareSettings lab(Path labDirectory) {
    return new HardwareSettings(labDirectory, Credentials.none(), null, null);
  }
}
