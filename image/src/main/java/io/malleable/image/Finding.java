package io.malleable.image;

/**
 * One thing that a check found.
 *
 * @param code for programs; it does not change
 * @param what was found, one sentence
 * @param why it matters, one sentence
 * @param fix what to do; empty when nothing has to be done
 */
public record Finding(Severity severity, String code, String what, String why, String fix) {}
