"""Relations as people annotate them, without the future import."""

import holdfast
import holdfast as hf
from holdfast import Entity, Field, Many, One, generated_key, many, one, ref


class A0(Entity, table="annotated_0"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A0", default=None)
    up: "One[A0 | None]" = one(via="up_id")
    below: Many["A0"] = many(via="up_id")


class A1(Entity, table="annotated_1"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A1", default=None)
    up: One["A1 | None"] = one(via="up_id")
    below: "Many[A1]" = many(via="up_id")


class A2(Entity, table="annotated_2"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A2", default=None)
    up: "One[A2 | None]" = one(via="up_id")
    below: "holdfast.Many[A2]" = many(via="up_id")


class A3(Entity, table="annotated_3"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A3", default=None)
    up: "holdfast.One[A3]" = one(via="up_id")
    below: Many["A3"] = many(via="up_id")


class A4(Entity, table="annotated_4"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A4", default=None)
    up: "holdfast.One[A4 | None]" = one(via="up_id")
    below: "Many[A4]" = many(via="up_id")


class A5(Entity, table="annotated_5"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A5", default=None)
    up: One["A5 | None"] = one(via="up_id")
    below: "holdfast.Many[A5]" = many(via="up_id")


class A6(Entity, table="annotated_6"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A6", default=None)
    up: "One['A6']" = one(via="up_id")
    below: Many["A6"] = many(via="up_id")


class A7(Entity, table="annotated_7"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A7", default=None)
    up: "One['A7 | None']" = one(via="up_id")
    below: "Many[A7]" = many(via="up_id")


class A8(Entity, table="annotated_8"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A8", default=None)
    up: "One[A8 | None]" = one(via="up_id")
    below: "holdfast.Many[A8]" = many(via="up_id")


class A9(Entity, table="annotated_9"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A9", default=None)
    up: "One[None | A9]" = one(via="up_id")  # noqa: RUF036
    below: Many["A9"] = many(via="up_id")


class A10(Entity, table="annotated_10"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A10", default=None)
    up: One["A10"] = one(via="up_id")
    below: "Many[A10]" = many(via="up_id")


class A11(Entity, table="annotated_11"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A11", default=None)
    up: 'hf.One["A11"]' = one(via="up_id")
    below: "holdfast.Many[A11]" = many(via="up_id")


class A12(Entity, table="annotated_12"):
    id: Field[int] = generated_key()
    up_id: "hf.Field[int | None]" = ref("A12", default=None)
    up: "One[ A12 ]" = one(via="up_id")
    below: Many["A12"] = many(via="up_id")


KINDS = [A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12]
