package io.malleable.control;

/**
 * What an import found out.
 *
 * @param sizeBytes virtual size of the volume made
 * @param format of the source: raw, qcow2, vmdk, vhdx
 * @param sha256 of the file, lower-case hexadecimal; empty when it was not computed
 */
public record ImageFacts(long sizeBytes, String format, String sha256) {}
