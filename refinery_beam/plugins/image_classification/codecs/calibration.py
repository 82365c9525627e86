"""Small images that every codec decodes, so that its fingerprint rests on its results and not on its version.

They were made once, from a gradient with noise, and never change: another image would change every codec fingerprint.
"""

from __future__ import annotations

import struct

CALIBRATION: dict[str, str] = {
    "jpeg_420": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4O"
        "DhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAVACUDASIAAhEBAxEB/8QAGAABAQEBAQAAAAAA"
        "AAAAAAAAAAMEBQL/xAAhEAACAwACAgIDAAAAAAAAAAAAAgEREiExAyIyUWGBof/EABgBAAMBAQAAAAAAAAAAAAAAAAMFBgIH/8QAIhEAAgECBQUAAAAAAAAAAAAAAAEC"
        "BBESIUFRgRQxocHR/9oADAMBAAIRAxEAPwDpz483PZ4fxx8v4bMZuSbJfIsVHpbj2TFEjC6664oiyxPrRuZNfoiy3OaDRpdd/PwrqJGOUzxQLskLNdgJ0+HK9uCij2O3"
        "UL+bJusTGpAGahHFhtkcxodCTrrj6JNET6gBIpWT3K6hItGGrsAGnJxdkUMVkf/Z"
    ),
    "jpeg_444": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL"
        "Cw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAANABMDAREAAhEBAxEB/8QAFQABAQAAAAAAAAAA"
        "AAAAAAAAAwX/xAAgEAABAwMFAQAAAAAAAAAAAAABAAIDIjFBERIhUaFS/8QAGAEAAwEBAAAAAAAAAAAAAAAAAgUGAwf/xAAoEQABAgMFCQEAAAAAAAAAAAAAAQIDESEE"
        "EhMjMRQiQVFSYoGRofD/2gAMAwEAAhEDEQA/ALJi2Em6ltlwN7Xgc4gLMJ8INfi0Sy3s39Qf2bkFx8eor3aOWtoVC0Rgm+EywGwJO1IiAswnRh1XWEaQEdm+fRQWaiSB"
        "OnSPFb0/RwiUP//Z"
    ),
    "jpeg_progressive": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARES"
        "EhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wgARCAAVACUDASIAAhEBAxEB/8QAFwABAQEBAAAAAAAA"
        "AAAAAAAAAAIDBP/EABgBAAMBAQAAAAAAAAAAAAAAAAIEBQAG/9oADAMBAAIQAxAAAAHonWV5+U6yVPJYnuuRjnpkKnAz3//EABQQAQAAAAAAAAAAAAAAAAAAADD/2gAI"
        "AQEAAQUCf//EABYRAQEBAAAAAAAAAAAAAAAAAAADAf/aAAgBAwEBPwGSTEkmP//EABoRAQABBQAAAAAAAAAAAAAAAAATARESMUH/2gAIAQIBAT8BjRsFuKNP/8QAFBAB"
        "AAAAAAAAAAAAAAAAAAAAMP/aAAgBAQAGPwJ//8QAGRABAQEBAQEAAAAAAAAAAAAAAQARITFR/9oACAEBAAE/IcySTZLMsySzZJMvJJ7PyeX/2gAMAwEAAgADAAAAEHig"
        "nQf/AP/EABkRAQACAwAAAAAAAAAAAAAAAAABECExQf/aAAgBAwEBPxAg0c1hh//EABsRAAMAAgMAAAAAAAAAAAAAAAABESFRQYHw/9oACAECAQE/EFxnQvNmGLCKEUT2"
        "Ntoj/8QAHRAAAgMAAgMAAAAAAAAAAAAAAAERITFBUWFxof/aAAgBAQABPxB3PTl+HoCHUDwg2JbGVkEjsheRyCYETCSjT//Z"
    ),
    "jpeg_cmyk": (
        "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3OFBtUVdfYmdoZz5NcXlwZHhcZWdj/8AAFAgADQAT"
        "BEMRAE0RAFkRAEsRAP/EABsAAAMAAgMAAAAAAAAAAAAAAAAFBgECAwQH/8QALBAAAQIEBAMIAwAAAAAAAAAAAQACAwQRMRIUIUFDUWEFIjJCRXFygZHB8f/aAA4EQwBN"
        "AFkASwAAPwCblWUpVWceyViSicIHKb6C2/XmvQE5lWdErmDyWDIj08fP9X+0Ji1lWhL3g4ijIyfGNInnGt90KdlRZUkeyfvhCHM5dppCLgMNNjfW6E5lW2CVTBr/AFbT"
        "UuyTw5fuY/FpWv590JiAAKUC6TgQTQrnhdmS0WE2I9lXPAcTU6koX//Z"
    ),
    "png": (
        "iVBORw0KGgoAAAANSUhEUgAAAAsAAAAJCAIAAABrBkF6AAAA4klEQVR4nAXBSU7EMBAF0O9yeUwcWjT3AYkDcF92LNhxFaQWnaFju8q8Z/KwoaG3VFqfpOv56i2bxxY0"
        "xmrYfrNgcfAZfw6ugueZ0y1JVD7Iar5snjwSIBtSw1UpcLvuC/vHc+qXhHnlJ2Y4gWdkhaQR9eRII7Ibw1fGtHuu+GAYj+6wKYqULy+ov60QDeppeWfCiGgzQkU24opL"
        "bdWWWQ/Pp8hZeMJLR+/oBpMrMPcZcbjVGgVDB2Xa0SKihQ1wdrdiDFsFV6J4Bts184IfQUkgxmnyiP2NbiyO9IizkWA+/wFRoWY9mj5APgAAAABJRU5ErkJggg=="
    ),
    "gif": (
        "R0lGODdhJQAVAIMAAEbrvUPkYyP4kyHyNHnCo4axlV/Pm1nIOLyOx7KIZ5agk4ycNNhxscVyTu9aq99cSCwAAAAAJQAVAEAI/wAHCBw4MMCAAwgTHljAsCHDBA0iRnxA"
        "kaLAAAYFaDRgQOGBAiBBOkygIIFJBhIpOnCgsSWAly85EphJEwECBThx2tzJgMHKny0xDkSIsSjChgoWmEzAUGLKii4BFMUoc2bIAjoV2FwKsadPBxRhigVgACZNmgV2"
        "qvXK9qcDggOmBvCY0GFDrhMbVHzQUuPFuRwDH2WY0+QCpyYbgKUoVwBZjhgTEigwOSlXnF4nqnQwlmqAsmdD6lTLtS1Qx47HVp2pNqdang6+roQbN+5cugvtKk38tCJc"
        "ubh1P1zam2JQAUMPFOU4eEHJkkwPR4SoF2rfgp8Dd8ztPKcCpw0S9Fp8sBi7AAOODdxGODnkcJIKMmteqbFoasifA1C+yjWBTfkVrQRAalJNtdpVrm1VmlcrPTDWRhwB"
        "EBpIo/EknmmnoaaaAWe1ltVaDAI1llgcdriTVq/xJNtKAQEAOw=="
    ),
    "tiff_lzw": (
        "SUkqAHoBAACAAp/gMIvoBg16gwNPAECV2gQRuYhil0kcVOEeDFvkQctkij1uAojtUAgd/hELPoLht6gkQPAGh92gwVvIjjRxFAYukijVwEceNcok1nBAmssJg1/hqUhQ"
        "IPUJBt4CAOu8Ji92loVPAqDdwlcfNwrkVrl0gtIPkhlBMIv8PhN9CAKPUVBl4CcSO4UC1zF4ZOgsj9yl4fOAyD/DEpmiUmtEUgt/m4Hvo3hV6msPPAwCJ3G0VPMXDN4C"
        "4ct0UkZvisiuETlNtmgstU20o2hd9GkRvU4B14GoRus5Dd5jcZOQajRzjIiN4cEhtDUoNM6lFnncMP9AhR9H0PvU85k9ih8HscOshjJ2EIcuAikVuEUmNohk9qn8pNBA"
        "A5/nwOPpChEeo+BKeBABWdw/BqdgiBsd4gBycgfiObwmtWIwlmmRIqGiQQOH+JAMn0KoVnqK4XngKAYHwJ4enoQgfnIRAeHSRQim2SQom+R4sGoJIummJaAgCgAAAQMA"
        "AQAAAAwAAAABAQMAAQAAAAkAAAACAQMAAwAAAPgBAAADAQMAAQAAAAUAAAAGAQMAAQAAAAIAAAARAQQAAQAAAAgAAAAVAQMAAQAAAAMAAAAWAQMAAQAAAAkAAAAXAQQA"
        "AQAAAHIBAAAcAQMAAQAAAAEAAAAAAAAACAAIAAgA"
    ),
    "webp_lossy": (
        "UklGRuoAAABXRUJQVlA4IN4AAADQBgCdASolABUAPrVSoEwnJKMiKqgA4BaJbGM+RhYh/VvT/MEqjYMiq+wG4A8//SywJo7BStYagSdBMuBHaFAA/uXThtqH3JM4HxMP"
        "7+/P/bWgjx9mMmyab//No9jTkGu3/2rmuCT3jUaUDEnyfsMT6RieWmnA7xJzeNnlj7ABPZJUN4PXbxnadV/TqBxO3XJwjWUtuGjkCYC7i8QhwIY1R9BCxadaLDsZc9t5"
        "iXU4wRVYPPP5+W0iItyphRiXX2ybj3eU0rrjqJ+8oCFuGjnz8ICnFwEe9KO99+RAAAA="
    ),
    "webp_lossless": (
        "UklGRiYBAABXRUJQVlA4TBkBAAAvJAAFAF+gJgDQ5CQQeWjvMJcuaiJJUrLjS+8Z5b6/96MokqTm7oga0ISLZJcXRnKumv/4N57n48gAnFu16UXXJA8Tw8h84LfoDQa4"
        "0ba3bXjsqIo4l9ngBDqU6pxD5xM8QMIISgsQhwUYeiVUDiXHA0iu8H0R/Z+A5CrNhQTwAXAJoMoSmYqIARc9SPPYxxCIwBCDJASvJUxQ1k2WIJcQ0wIfhkvAxsS1YiHN"
        "CCoWH0YvBimJNw3DpSUiP2p2LW+C0rJsIjMl5MO9Nou9JSO/nRInDzrwLuhwKqju5t9m6zdL6+pB71u/sXSITPl6N9fwgWcbKPa42E8HQN2RXu8PpK2Pk67HU5PjtkHd"
        "dxtEXRP7xx25jZBtBgA="
    ),
}
"""Base64 of whole files by name."""


def wide_profile() -> bytes:
    """A small ICC profile of a wider gamut than sRGB: the primaries of Adobe RGB (1998) adapted to D50, and a gamma of 563 / 256."""
    primaries = {b"rXYZ": (39960, 20389, 1276), b"gXYZ": (13453, 41006, 3989), b"bXYZ": (9778, 4143, 48801)}
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"cprt": b"text\0\0\0\0free\0\0\0\0",
        **{tag: b"XYZ \0\0\0\0" + struct.pack(">3i", *values) for tag, values in primaries.items()},
        **{tag: b"curv\0\0\0\0" + struct.pack(">IHH", 1, 563, 0) for tag in (b"rTRC", b"gTRC", b"bTRC")},
    }
    return profile(b"RGB ", white, tags)


def profile(space: bytes, white: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile (version 2.1, of a display) of a colour space, with the white point of its connection space and its tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += tag + struct.pack(">II", start + len(body), len(padded))
        body += padded
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    return (head + white).ljust(128, b"\0") + table + body
